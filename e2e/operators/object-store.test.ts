/** @module-tag violation */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeTree } from '@soulbox/base';
import { listHostTraces, makeTestDirectory, startServer } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { Sandbox } from 'e2b';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runNode } from '../harness/cli.ts';
import type { Output } from '../harness/cli.ts';
import {
  checkWorld,
  connectionOf,
  copyTemplate,
  endWorld,
  fillSandbox,
  fillWorld,
  makeWholeFolder,
} from '../harness/drill.ts';
import type { World } from '../harness/drill.ts';
import { askFunction, deployLasting } from '../harness/lasting-function.ts';
import { ownInstance } from '../harness/own-instance.ts';
import { server as shared } from '../harness/server.ts';
import { hasTemplate } from '../harness/template.ts';
import { programEveryMs, until } from '../harness/until.ts';

const hasFunctions = await hasTemplate('edge');
const instance = ownInstance();
const cliMain = join(import.meta.dirname, '../../apps/cli/src/main.ts');
let folder: string;
let url: string;
let keyFile: string;
let server: ServerProcess;
let world: World;
/** One that was resumed after its upload, and one that was never paused. */
let [running, late]: Sandbox[] = [];
/** The sandbox of a function. */
let serving: string[] = [];
/** Of commands. */
let environment: Record<string, string> = {};
let recovery: Promise<Recovery> | undefined;

const soulbox = async (...args: string[]): Promise<Output> =>
  await runNode([cliMain, ...args], environment, '', 240_000);
const start = async (dataDirectory: string): Promise<ServerProcess> =>
  await startServer({
    ...{ instance, dataDirectory, poolSize: 1 },
    environment: {
      SOULBOX_ISOLATION: shared.isolation,
      SOULBOX_TEMPLATES_DIR: join(dataDirectory, 'templates'),
      SOULBOX_STORAGE: url,
      SOULBOX_STORAGE_KEY_FILE: keyFile,
    },
  });
const status = async ({ dataDirectory }: ServerProcess): Promise<Output> =>
  await soulbox('storage', 'status', '--data-dir', dataDirectory, '--json');
const untilUploaded = async (at: ServerProcess): Promise<void> => {
  await until('everything is uploaded', async () => (await status(at)).code === 0, 180_000, programEveryMs);
};

interface Recovered {
  readonly sandboxes: number;
  readonly snapshots: number;
  readonly lost: { readonly what: string; readonly id: string; readonly reason: string }[];
}

interface Recovery {
  readonly output: Output;
  readonly said: Recovered;
  readonly server: ServerProcess;
}

async function recover(target: string): Promise<Omit<Recovery, 'server'>> {
  const place = ['--storage', url, '--key-file', keyFile, '--data-dir', target];
  const output = await soulbox('storage', 'recover', ...place, '--json');
  return { output, said: JSON.parse(output.stdout) as Recovered };
}

async function recoverAndStart(): Promise<Recovery> {
  const target = join(folder, 'recovered');
  const recovered = await recover(target);
  // No sandbox that sleeps has it, so it is not in the store. A server makes it anew, which takes minutes.
  if (hasFunctions) await copyTemplate('edge', join(target, 'templates'));
  return { ...recovered, server: await start(target) };
}

/** Once for all tests, each of which may also run alone. */
const recovered = async (): Promise<Recovery> => await (recovery ??= recoverAndStart());

beforeAll(async () => {
  folder = await makeTestDirectory('object-store-');
  [url, keyFile] = [`file://${folder}/store`, join(folder, 'storage.key')];
  await writeFile(keyFile, (await soulbox('storage', 'key')).stdout, { mode: 0o600 });
  server = await start(await makeWholeFolder(hasFunctions ? ['base', 'edge'] : ['base']));
  const connection = { ...connectionOf(server), timeoutMs: 600_000 };
  world = await fillWorld(connection);
  running = await Sandbox.create('base', connection);
  await fillSandbox(running);
  await running.pause();
  await untilUploaded(server);
  await running.connect();
  late = await Sandbox.create('base', connection);
  if (hasFunctions) {
    await deployLasting(server);
    const shown = await askFunction(server, 'GET', '/functions/lasting');
    serving = [(JSON.parse(shown.text) as { sandboxID: string }).sandboxID];
  }
  await untilUploaded(server);
  // The control plane uploads its records some seconds after they have changed.
  await sleep(10_000);
  await server.kill9();
}, 300_000);
afterAll(async () => {
  // A server removes what is left on the host.
  const found = await recovery?.catch(() => undefined);
  if (found === undefined) await server.restart().then(async () => await server.stop());
  else await endWorld(found.server, world);
  await removeTree(server.dataDirectory);
  await removeTree(folder);
  expect(await listHostTraces(instance)).toEqual([]);
});

test('nothing of a tenant is readable in the store', async () => {
  const names = await readdir(join(folder, 'store'), { recursive: true, withFileTypes: true });
  const files = names.filter((entry) => entry.isFile() && !entry.parentPath.includes('.locks'));
  expect(files.length).toBeGreaterThan(10);
  for (const { parentPath, name } of files) {
    const content = await readFile(join(parentPath, name));
    expect(content.includes('kept by '), name).toBe(false);
    expect(content.includes('"envdAccessToken"'), name).toBe(false);
    expect(content.includes('SQLite format'), name).toBe(false);
  }
});

test('a host that lost its disk resumes what was uploaded, and names what is lost with the reason', async () => {
  const { output, said, server: found } = await recovered();
  expect(output.code, output.stderr).toBe(1);
  // The snapshot of the tenant and the template.
  expect(said).toMatchObject({ sandboxes: 1, snapshots: 2 });
  const lost = [running?.sandboxId, late?.sandboxId, ...serving].map((id) => ({
    ...{ what: 'sandbox', id },
    reason: expect.stringContaining('running') as string,
  }));
  expect(said.lost.toSorted((one, other) => one.id.localeCompare(other.id))).toEqual(
    lost.toSorted((one, other) => (one.id ?? '').localeCompare(other.id ?? '')),
  );
  await checkWorld(world, connectionOf(found));
  const list = await Sandbox.list(connectionOf(found)).nextItems();
  expect(list.map(({ sandboxId }) => sandboxId)).toContain(world.paused);
  expect(list.map(({ sandboxId }) => sandboxId)).not.toContain(running?.sandboxId);
}, 300_000);

test.skipIf(!hasFunctions)(
  'a function is there with its secret and its values, in a new sandbox',
  async () => {
    const { server: found } = await recovered();
    await expect
      .poll(async () => await askFunction(found, 'GET', '/functions-http/lasting/'), { timeout: 30_000 })
      .toMatchObject({ text: 'kept secret' });
    await askFunction(found, 'DELETE', '/functions/lasting');
  },
  300_000,
);

test(
  'the recovered server goes on at the same place, and the lost host changes nothing when it comes back',
  { tags: ['long'], timeout: 300_000 },
  async () => {
    const { server: found } = await recovered();
    await Sandbox.pause(world.paused, connectionOf(found));
    await untilUploaded(found);
    await found.stop({ keepSandboxes: true });
    await server.restart();
    await until('it is refused', async () => {
      const { stdout } = await status(server);
      return stdout !== '' && (JSON.parse(stdout) as { state: string }).state === 'refused';
    });
    await server.stop();
    // As with templates that several servers share.
    environment = { SOULBOX_TEMPLATES_DIR: join(folder, 'recovered', 'templates') };
    const { said } = await recover(join(folder, 'again'));
    expect(said).toMatchObject({ sandboxes: 1, snapshots: 2 });
    await found.restart();
    await checkWorld(world, connectionOf(found));
  },
);
