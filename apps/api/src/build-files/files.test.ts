import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '@soulbox/base';
import { readSealed } from '@soulbox/keyring';
import { openBlobReader } from '@soulbox/storage';
import type { BlobStream } from '@soulbox/storage';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { requestBuild, startBuild } from '../testing/build-template.ts';
import type { Requested } from '../testing/build-template.ts';
import { startTestApi, until } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

const hash = 'a'.repeat(64);
const otherHash = 'b'.repeat(64);
let now: number;
const clock: Clock = { now: () => now };
let api: TestApi;
let build: Requested;
beforeEach(async () => {
  now = Date.now();
  api = await startTestApi({ clock, config: { buildFileMaxMb: 1, teamBuildFilesMb: 2, requestTimeoutSeconds: 1 } });
  build = await requestBuild(api, 'mine');
});
afterEach(() => api[Symbol.asyncDispose]());

interface Link {
  readonly present: boolean;
  readonly url: string;
}
const ask = (of = hash, key = api.key, templateID = build.templateID, headers: Record<string, string> = {}) =>
  api.ask('GET', `/templates/${templateID}/files/${of}`, { key, headers });
const link = async (of = hash): Promise<Link> => (await ask(of)).json as Link;
const put = async (url: string, body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) => {
  const answer = await fetch(url, { method: 'PUT', body, headers });
  const said = await answer.text();
  return { status: answer.status, json: said === '' ? undefined : (JSON.parse(said) as { message: string }) };
};
const stored = async (of = hash): Promise<string | undefined> => {
  const stream = await api.files.read(`${api.teamId}/${of}`);
  return stream && (await text(stream));
};
const blobs = async () => (await api.files.list('')).map(({ key }) => key);

describe('uploading the files of a build', () => {
  it('uses the given link, without a key, and afterwards the file is known', async () => {
    const answer = await ask();
    expect([answer.status, (answer.json as Link).present]).toEqual([201, false]);
    expect(await put((answer.json as Link).url, 'archive')).toEqual({ status: 204, json: undefined });
    expect(await stored()).toBe('archive');
    expect((await link()).present).toBe(true);
  });

  it('may happen twice: the second upload replaces the first completely', async () => {
    const { url } = await link();
    await put(url, 'first');
    expect((await put((await link()).url, 'second')).status).toBe(204);
    expect(await stored()).toBe('second');
    expect(await blobs()).toHaveLength(1);
  });

  it('does not start if it would use space that is reserved or promised to sandboxes', async () => {
    const { url } = await link();
    api.runner.roomBytes = 6;
    expect(await put(url, 'archive')).toMatchObject({
      status: 507,
      json: { message: 'The archive may take 7 bytes.' },
    });
    expect(await blobs()).toEqual([]);
    expect((await put(url, 'archiv')).status).toBe(204);
  });

  it('may use the room that other uploads in progress have left', async () => {
    const { url } = await link();
    api.runner.roomBytes = 9;
    const first = httpRequest(url, { method: 'PUT', headers: { 'content-length': '5' } });
    const answered = once(first, 'response') as Promise<[{ statusCode: number; resume(): void }]>;
    first.write('by');
    await expect.poll(async () => (await put((await link()).url, 'other')).status).toBe(507);
    first.end('tes');
    const [response] = await answered;
    response.resume();
    expect(response.statusCode).toBe(204);
    await expect.poll(async () => (await put((await link()).url, 'other')).status).toBe(204);
    const broken = httpRequest((await link()).url, { method: 'PUT', headers: { 'content-length': '5' } });
    broken.on('error', () => undefined);
    broken.write('by');
    await expect.poll(async () => (await put((await link()).url, 'other')).status).toBe(507);
    broken.destroy();
    await expect.poll(async () => (await put((await link()).url, 'other')).status).toBe(204);
  });

  it('provides the file that the runner must unpack', async () => {
    await put((await link()).url, 'archive');
    const steps = [{ type: 'COPY', args: ['src', '/dst', '', ''], filesHash: hash, force: false }];
    const [step] = (await startBuild(api, build, { start: { steps } })).request.steps;
    const key = `${api.teamId}/${hash}`;
    expect(step).toMatchObject({ type: 'COPY', args: ['src', '/dst', '', ''], filesHash: hash, filesBlobKey: key });
    if (step === undefined) return;
    // As the runner reads it: from the disk, with the key that it got.
    const onDisk = await readFile(join(api.folder, 'uploads', key.replace('/', '~')));
    expect(onDisk.includes('archive')).toBe(false);
    const wanted = { placeKey: step.filesKey, mayBeReadable: step.filesMayBeReadable };
    const reader = openBlobReader({ directory: join(api.folder, 'uploads') });
    const content = await readSealed(reader, { store: 'uploads', key, ...wanted });
    expect(await text(content as BlobStream)).toBe('archive');
    expect(await api.readLog()).not.toContain(Buffer.from(step.filesKey).toString('base64'));
  });

  it('is for one team: another team neither sees nor uses the file', async () => {
    await put((await link()).url, 'archive');
    expect((await ask(hash, api.otherKey)).status).toBe(404);
    const theirs = await requestBuild(api, 'theirs', { key: api.otherKey });
    expect((await ask(hash, api.otherKey, theirs.templateID)).json).toMatchObject({ present: false });
  });

  it('accepts bytes of any type unchanged', async () => {
    const bytes = new Uint8Array(300_000).map((_, index) => index * 7);
    const { url } = await link();
    for (const type of ['application/json', 'application/gzip', 'text/plain'])
      expect((await put(url, bytes, { 'content-type': type })).status).toBe(204);
    expect((await api.files.stat(`${api.teamId}/${hash}`))?.sizeBytes).toBe(300_000);
  });

  it('gets a link to the address at which the caller reached the server', async () => {
    const url = async (headers: Record<string, string>) =>
      ((await ask(hash, api.key, undefined, headers)).json as Link).url;
    expect(await url({ 'x-forwarded-proto': 'https' })).toMatch(/^https:\/\/127\.0\.0\.1:\d+\/templates\//);
    expect(await url({ 'x-forwarded-proto': 'gopher' })).toMatch(/^http:\/\//);
    await using configured = await startTestApi({ config: { apiUrl: 'https://box.example/api' } });
    const mine = await requestBuild(configured, 'mine');
    const answer = await configured.ask('GET', `/templates/${mine.templateID}/files/${hash}`);
    expect((answer.json as Link).url).toMatch(/^https:\/\/box\.example\/api\/templates\//);
    // The proxy removes the path and may replace the Host header, and the server may be started again.
    const { pathname, search } = new URL((answer.json as Link).url);
    await configured.restart();
    expect((await put(configured.url + pathname.slice('/api'.length) + search, 'archive')).status).toBe(204);
  });

  it('may take longer than other requests while bytes arrive', async () => {
    const { url } = await link();
    const upload = httpRequest(url, { method: 'PUT', headers: { 'content-length': '5' } });
    const answered = once(upload, 'response') as Promise<[{ statusCode: number; resume(): void }]>;
    for (const byte of 'bytes') {
      upload.write(byte);
      await sleep(500);
    }
    upload.end();
    const [answer] = await answered;
    answer.resume();
    expect([answer.statusCode, await stored()]).toEqual([204, 'bytes']);
  });
});

describe('an upload is refused', () => {
  it.each([
    ['without a signature', (url: URL) => (url.search = ''), 401],
    ['with half a signature', (url: URL) => url.searchParams.delete('soulbox-signature'), 400],
    ['with another signature', (url: URL) => url.searchParams.set('soulbox-signature', 'x'.repeat(43)), 401],
    ['with a later end', (url: URL) => url.searchParams.set('soulbox-expires', '9999999999'), 401],
    ['with an end that is no number', (url: URL) => url.searchParams.set('soulbox-expires', 'never'), 400],
    ['for another hash', (url: URL) => (url.pathname = url.pathname.replace(hash, otherHash)), 401],
    ['for a hash that is none', (url: URL) => (url.pathname = url.pathname.replace(hash, '..%2f..%2fetc')), 400],
    ['for another template', (url: URL) => (url.pathname = url.pathname.replace(/templates\/\w+/, 'templates/x')), 401],
  ])('%s', async (_what, change, status) => {
    const url = new URL((await link()).url);
    change(url);
    const answer = await put(url.href, 'archive');
    expect([answer.status, answer.json]).toEqual([status, { code: status, message: expect.any(String) as string }]);
    expect(await blobs()).toEqual([]);
  });

  it('after an hour', async () => {
    const { url } = await link();
    now += 3606_000;
    expect((await put(url, 'archive')).json?.message).toMatch(/expired/);
  });

  it('with the key itself, which is for the API', async () => {
    const { pathname } = new URL((await link()).url);
    expect((await put(api.url + pathname, 'archive', { 'x-api-key': api.key })).status).toBe(401);
    expect((await put((await link()).url, 'archive', { 'x-api-key': api.key })).status).toBe(400);
    expect(await blobs()).toEqual([]);
  });

  it('when it is too large or has no length', async () => {
    const { url } = await link();
    expect((await put(url, 'x'.repeat(1024 * 1024 + 1))).status).toBe(413);
    const chunked = httpRequest(url, { method: 'PUT', headers: { 'transfer-encoding': 'chunked' } });
    chunked.end('archive');
    const [answer] = (await once(chunked, 'response')) as [{ statusCode: number; resume(): void }];
    answer.resume();
    expect(answer.statusCode).toBe(400);
    expect(await blobs()).toEqual([]);
  });

  it("when the team's files would exceed the limit; other teams are not affected", async () => {
    const mebibyte = 'x'.repeat(1024 * 1024);
    expect((await put((await link()).url, mebibyte)).status).toBe(204);
    expect((await put((await link(otherHash)).url, mebibyte)).status).toBe(204);
    expect((await put((await link('c'.repeat(64))).url, 'x')).status).toBe(429);
    expect((await put((await link(otherHash)).url, mebibyte)).status).toBe(204);
    const theirs = await requestBuild(api, 'theirs', { key: api.otherKey });
    const their = (await ask(hash, api.otherKey, theirs.templateID)).json as Link;
    expect((await put(their.url, 'x')).status).toBe(204);
  });

  it('when it breaks off, and leaves neither bytes nor a reservation', async () => {
    const url = new URL((await link()).url);
    const socket = connect(Number(url.port), url.hostname);
    await once(socket, 'connect');
    socket.write(`PUT ${url.pathname}${url.search} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\npart`);
    await sleep(100);
    socket.destroy();
    await until(async () => (await api.records.buildFiles.clearReserved()) === 0);
    expect(await blobs()).toEqual([]);
    expect((await link()).present).toBe(false);
  });

  it.each(['x', 'A'.repeat(64), 'a'.repeat(63), 'a'.repeat(65), `${'a'.repeat(63)}g`, '..%2F..', '%00'])(
    'already at the request for a link, for the hash %j',
    async (bad) => {
      expect((await ask(bad)).json).toMatchObject({ code: 400 });
    },
  );

  it('when the signing key of its link ends while it arrives', async () => {
    const { url } = await link();
    const upload = httpRequest(url, { method: 'PUT', headers: { 'content-length': '1000000' } });
    const failed = once(upload, 'error');
    upload.on('response', (answer) => answer.resume());
    upload.write('part');
    const feed = setInterval(() => upload.write('more'), 200);
    await sleep(300);
    expect((await api.ask('POST', '/signing-keys', { body: { overlapSeconds: 0 } })).status).toBe(201);
    const endedAt = Date.now();
    await failed;
    clearInterval(feed);
    expect(Date.now() - endedAt).toBeLessThan(2500);
    await until(async () => (await api.records.buildFiles.clearReserved()) === 0);
    expect(await blobs()).toEqual([]);
  });

  it('already at the request for a link, with an invalid host', async () => {
    const { hostname, port } = new URL(api.url);
    const socket = connect(Number(port), hostname);
    let said = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => (said += chunk));
    const path = `/templates/${build.templateID}/files/${hash}`;
    socket.write(`GET ${path} HTTP/1.1\r\nhost: a@b/c?\r\nx-api-key: ${api.key}\r\nconnection: close\r\n\r\n`);
    await once(socket, 'close');
    expect(said).toMatch(/^HTTP\/1\.1 400 /);
  });
});

describe('a file that is damaged on the disk', () => {
  const steps = [{ type: 'COPY', args: ['src', '/dst', '', ''], filesHash: hash, force: false }];
  const onDisk = () => join(api.folder, 'uploads', `${api.teamId}~${hash}`);
  const failDamaged = async (of: Requested, meanwhile?: () => Promise<unknown>): Promise<void> => {
    const side = await startBuild(api, of, { start: { steps } });
    await meanwhile?.();
    side.fail('The uploaded files are damaged.', '1', 'state_damaged');
    await until(async () => (await api.records.builds.find(of.buildID))?.status === 'error');
  };
  beforeEach(async () => {
    await put((await link()).url, 'archive');
  });

  it.each([
    ['cut', (bytes: Buffer) => bytes.subarray(0, -1)],
    ['readable', () => Buffer.from('a readable archive that is longer than a header of an encrypted one is')],
  ])('because it is %s must be uploaded again', async (_how, change) => {
    await writeFile(onDisk(), change(await readFile(onDisk())));
    const path = `/v2/templates/${build.templateID}/builds/${build.buildID}`;
    const answer = await api.ask('POST', path, { body: { fromImage: 'debian:stable', steps } });
    expect([answer.status, answer.text]).toEqual([400, expect.stringMatching(/not uploaded, or were damaged since/)]);
    const { present, url } = await link();
    expect(present).toBe(false);
    await put(url, 'again');
    expect([(await link()).present, await stored()]).toEqual([true, 'again']);
  });

  it('is forgotten when a build fails with it', async () => {
    await failDamaged(build);
    expect([(await link()).present, await blobs()]).toEqual([false, []]);
  });

  it('stays when it was uploaded again meanwhile', async () => {
    await failDamaged(build, async () => {
      now += 10;
      await put((await link()).url, 'again');
    });
    expect([(await link()).present, await stored()]).toEqual([true, 'again']);
  });
});

it('the log contains no link', async () => {
  const { url } = await link();
  await put(url, 'archive');
  expect(await api.readLog()).not.toContain(new URL(url).searchParams.get('soulbox-signature'));
});

it('files that have not been used for long are deleted', async () => {
  await put((await link()).url, 'old');
  now += 8 * 24 * 3600 * 1000;
  await put((await link(otherHash)).url, 'new');
  // The next start checks at once.
  await api.restart();
  await until(async () => (await blobs()).length === 1);
  expect(await stored(otherHash)).toBe('new');
  expect((await link()).present).toBe(false);
});
