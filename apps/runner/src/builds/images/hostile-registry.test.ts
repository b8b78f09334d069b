// Registries that redirect skopeo: the host must not send requests on their behalf (confused deputy).
import { once } from 'node:events';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { createServer, request as httpRequest } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeTree, run } from '@soulbox/base';
import { makeBusyboxRootfs, makeImage, pushImage, startRegistry } from '@soulbox/templates/testing';
import type { Registry } from '@soulbox/templates/testing';
import { testDirectory } from '@soulbox/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openBuildLab } from '../testing/build-lab.ts';
import type { BuildLab, Told } from '../testing/build-lab.ts';

/**
 * Addresses of this host that look public. The registry at the second one is allowed, like a registry on the internet.
 */
const own = '203.0.113.88';
const elsewhere = '203.0.113.90';
const link = 'sbreg0';
const secret = 'what stands in the metadata service';

let lab: BuildLab;
let directory: string;
let registry: Registry;
const servers: Server[] = [];
/** Requests that reached a forbidden server. There must be none. */
const asked: string[] = [];
/** The hostile registries redirect every request to this. */
let location = '';
let hostile: string[];
let fronts: string[];

beforeAll(async () => {
  await run('ip', ['link', 'add', link, 'type', 'veth', 'peer', 'name', 'sbreg1']);
  for (const address of [own, elsewhere]) await run('ip', ['addr', 'add', `${address}/32`, 'dev', link]);
  await run('ip', ['link', 'set', link, 'up']);
  await mkdir(testDirectory, { recursive: true, mode: 0o700 });
  directory = await mkdtemp(join(testDirectory, 'hostile-'));
  registry = await startRegistry(join(directory, 'registry'));
  const sendAway = (_: IncomingMessage, answer: ServerResponse): void => {
    answer.writeHead(307, { location }).end();
  };
  hostile = [await serve('127.0.0.1', sendAway), await serve(elsewhere, sendAway)];
  fronts = [await serve('127.0.0.1', frontOf), await serve(elsewhere, frontOf)];
  lab = await openBuildLab(1, {
    SOULBOX_INSECURE_REGISTRIES: [registry.address, ...hostile, ...fronts].join(),
  });
});
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  for (const server of servers) server.close();
  await registry[Symbol.asyncDispose]();
  await removeTree(directory);
  await run('ip', ['link', 'del', link]);
});

async function serve(address: string, answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const server = createServer(answer).listen(0, address);
  servers.push(server);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return `${address.includes(':') ? `[${address}]` : address}:${port}`;
}

/**
 * The real registry, except that layers and configurations are elsewhere, as with the usual registries of the internet.
 */
function frontOf(request: IncomingMessage, response: ServerResponse): void {
  const { url = '/', method, headers } = request;
  if (url.includes('/blobs/')) {
    response.writeHead(307, { location: `http://${registry.address}${url}` }).end();
    return;
  }
  const inner = httpRequest(`http://${registry.address}${url}`, { method, headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 500, answer.rawHeaders);
    answer.pipe(response);
  });
  request.pipe(inner);
}

const fromImage = async (reference: string): Promise<Told> =>
  await lab.build([], { baseTemplateId: undefined, image: { reference } });

async function serveSecret(address: string): Promise<string> {
  return await serve(address, ({ url = '' }, answer) => {
    asked.push(`${address}${url}`);
    answer.writeHead(404, { 'content-type': 'application/json' });
    answer.end(JSON.stringify({ errors: [{ code: 'UNKNOWN', message: secret }] }));
  });
}

test.each(['127.0.0.1', '127.8.8.8', '::1', own])(
  'a registry that redirects to %s, which is the host itself, is not followed',
  async (address) => {
    const place = await serveSecret(address);
    const names = address === '127.0.0.1' ? [place, place.replace('127.0.0.1', 'localhost')] : [place];
    for (const name of names) {
      location = `http://${name}/latest/meta-data`;
      for (const host of hostile) {
        const { failed } = await fromImage(`${host}/a/b`);
        expect(failed?.reason, `${host} to ${name}`).toBe('image_unavailable');
        expect(failed?.message).not.toContain(secret);
      }
    }
    expect(asked).toEqual([]);
  },
);

test('the error says that the address is forbidden, and shows neither paths of the host nor the response', async () => {
  location = `http://${own}:1/`;
  const message = (await fromImage(`${hostile[1] ?? ''}/a/b`)).failed?.message ?? '';
  expect(message).toMatch(/has a private, local or reserved address/);
  for (const host of hostile) {
    location = `http://${host}/?${'x'.repeat(20)}`;
    const told = await fromImage(`${host}/a/b`);
    expect(JSON.stringify(told)).not.toMatch(/xxxx|\/var\/lib|\/proc\/self|skopeo/);
  }
});

test("the host's own public address is refused as a registry, even if the host has just got it", async () => {
  const place = await serveSecret(own);
  expect((await fromImage(`${place}/a/b`)).failed?.message).toMatch(/has a private address/);
  await run('ip', ['addr', 'replace', '203.0.113.91/32', 'dev', link]);
  // Wait until the last reading of the host's addresses has expired.
  await sleep(150);
  const late = await serveSecret('203.0.113.91');
  expect((await fromImage(`${late}/a/b`)).failed?.message).toMatch(/has a private address/);
  expect(asked).toEqual([]);
});

test('the text of a registry response does not appear in the error', async () => {
  const chatty = await serveSecret(elsewhere);
  location = `http://${chatty}/`;
  // Only an operator can allow a registry, so the second one is reached through the first only if both are allowed.
  const { failed } = await fromImage(`${hostile[1] ?? ''}/a/b`);
  expect(failed?.message).not.toContain(secret);
});

test('layers that an allowed registry keeps elsewhere are fetched from there', async () => {
  const rootfs = join(directory, 'rootfs');
  await makeBusyboxRootfs(rootfs);
  for (const [index, front] of fronts.entries()) {
    // A different image each time. Otherwise the host would have it already.
    await writeFile(join(rootfs, 'which'), String(index));
    const image = await makeImage(rootfs, join(directory, `layout-${index}`), { environment: [`N=${index}`] });
    await pushImage(image, `${registry.address}/box:${index}`);
    expect((await fromImage(`${front}/box:${index}`)).failed).toBeUndefined();
  }
});
