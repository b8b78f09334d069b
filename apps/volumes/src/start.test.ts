import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { Agent, request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLogger } from '@soulbox/base/logger';
import { openVolume } from '@soulbox/volumes';
import { startVolumeService } from './start.ts';
import type { VolumeServer } from './start.ts';

let folder: string;
let socketPath: string;
let server: VolumeServer;
let agent: Agent;
const start = async (): Promise<void> => {
  const logger = createLogger({ level: 'error' });
  server = await startVolumeService({ directory: join(folder, 'data'), place: { path: socketPath }, logger });
};
const restart = async (): Promise<void> => {
  await server[Symbol.asyncDispose]();
  // A kept connection may not know yet that it is closed.
  agent.destroy();
  agent = new Agent({ keepAlive: true });
  await start();
};
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-volumes-'));
  socketPath = join(folder, 'volumes.sock');
  agent = new Agent({ keepAlive: true });
  await start();
});
afterEach(async () => {
  agent.destroy();
  await server[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const place = '/team/v1/v1/';
type Body = Uint8Array | string | AsyncIterable<Uint8Array>;

async function open(method: string, target: string, body?: Body, headers = {}): Promise<IncomingMessage> {
  const sent = httpRequest({ socketPath, method, path: target, headers, agent });
  const answered = once(sent, 'response') as Promise<[IncomingMessage]>;
  sent.on('error', () => undefined);
  if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) sent.end(body);
  else void pipeline(Readable.from(body, { objectMode: false }), sent).catch(() => undefined);
  const [answer] = await answered;
  return answer;
}

async function ask(method: string, target: string, body?: Body, headers = {}) {
  const answer = await open(method, target, body, headers);
  const chunks: Uint8Array[] = [];
  for await (const chunk of answer as AsyncIterable<Uint8Array>) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  const isJson = answer.headers['content-type'] === 'application/json';
  return {
    status: answer.statusCode,
    headers: answer.headers,
    bytes,
    json: isJson ? (JSON.parse(bytes.toString()) as unknown) : undefined,
  };
}
const call = async (method: string, what: string, query: Record<string, string>, body?: Body) =>
  await ask(method, `${place}${what}?${new URLSearchParams(query).toString()}`, body);
const put = async (path: string, body: Body, more = {}) => await call('PUT', 'file', { path, ...more }, body);
const list = async (path: string, depth = 1) =>
  ((await call('GET', 'dir', { path, depth: String(depth) })).json as { path: string }[]).map((one) => one.path);
const reasonOf = async (answer: Promise<{ status: number | undefined; json: unknown }>) => {
  const { status, json } = await answer;
  return [status, (json as { reason: string }).reason];
};

/** A volume as a sandbox leaves it: with what the content API cannot make. */
async function plant(work: (volume: Awaited<ReturnType<typeof openVolume>>) => Promise<unknown>): Promise<void> {
  await call('GET', 'dir', { path: '/' });
  await server[Symbol.asyncDispose]();
  {
    await using volume = await openVolume(join(folder, 'data/team/v1'), 'v1');
    await work(volume);
  }
  await start();
}
const link = async (volume: Awaited<ReturnType<typeof openVolume>>, name: string, target: string) =>
  await volume.create(1, Buffer.from(name), { mode: 0o120777, uid: 0, gid: 0, target: Buffer.from(target) });

describe('files', () => {
  it('are written, read, described and removed, also after a restart', async () => {
    const written = await put('/a.txt', 'hello', { uid: '5', gid: '6', mode: String(0o600) });
    expect([written.status, written.json]).toMatchObject([
      201,
      { name: 'a.txt', path: '/a.txt', type: 'file', size: 5, mode: 0o600, uid: 5, gid: 6 },
    ]);
    await restart();
    const read = await call('GET', 'file', { path: 'a.txt' });
    expect([read.status, read.bytes.toString(), read.headers['content-length']]).toEqual([200, 'hello', '5']);
    const { atime: _, ...kept } = written.json as { atime: string };
    expect((await call('GET', 'path', { path: '/a.txt' })).json).toMatchObject(kept);
    expect((await call('DELETE', 'path', { path: '/a.txt' })).status).toBe(204);
    expect(await reasonOf(call('GET', 'path', { path: '/a.txt' }))).toEqual([404, 'file_not_found']);
  });

  it('are replaced as a whole, with their owner and permissions, unless that is forbidden', async () => {
    await put('/a', 'a long text', { uid: '5', mode: String(0o640) });
    expect((await put('/a', 'short')).json).toMatchObject({ size: 5, uid: 5, mode: 0o640 });
    expect(await reasonOf(put('/a', 'x', { force: 'false' }))).toEqual([409, 'file_exists']);
    expect((await call('GET', 'file', { path: '/a' })).bytes.toString()).toBe('short');
    expect(await list('/')).toEqual(['/a']);
  });

  it('of which a part did not arrive are not there, and use nothing', async () => {
    const size = 3 * 1024 * 1024;
    await put('/old', 'old');
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(size);
      await new Promise((resolve) => setTimeout(resolve, 100));
      throw new Error('the sender has left');
    }
    for (const path of ['/new', '/old']) await expect(call('PUT', 'file', { path }, broken())).rejects.toThrow();
    expect(await list('/')).toEqual(['/old']);
    expect((await call('GET', 'file', { path: '/old' })).bytes.toString()).toBe('old');
    await expect
      .poll(async () => await reasonOf(put('/x', 'x'.repeat(100), { teamBytes: '2000', length: '100' })).catch(() => 0))
      .toEqual([201, undefined]);
  });

  it('of many blocks are moved in constant memory, and one range of them is read', async () => {
    const piece = Buffer.alloc(1024 * 1024, 'abcdefgh');
    const pieces = 64;
    async function* large(): AsyncGenerator<Uint8Array> {
      for (let sent = 0; sent < pieces; sent++) yield await Promise.resolve(piece);
    }
    const before = process.memoryUsage.rss();
    expect((await put('/large', large())).json).toMatchObject({ size: pieces * piece.length });
    let read = 0;
    for await (const chunk of (await open('GET', `${place}file?path=/large`)) as AsyncIterable<Uint8Array>)
      read += chunk.length;
    expect(read).toBe(pieces * piece.length);
    expect((process.memoryUsage.rss() - before) / 2 ** 20).toBeLessThan(64);
    const range = async (header: string) => await ask('GET', `${place}file?path=/large`, undefined, { range: header });
    const middle = await range('bytes=4194300-4194309');
    expect([middle.status, middle.bytes.toString()]).toEqual([206, 'efghabcdef']);
    expect(middle.headers['content-range']).toBe(`bytes 4194300-4194309/${pieces * piece.length}`);
    expect((await range('bytes=-3')).bytes.toString()).toBe('fgh');
    expect((await range(`bytes=${pieces * piece.length - 2}-`)).bytes.toString()).toBe('gh');
    expect(await reasonOf(range(`bytes=${pieces * piece.length}-`))).toEqual([416, 'range_not_satisfiable']);
  });

  it('are moved with all that is below them, over a file only if that is wanted', async () => {
    await call('POST', 'dir', { path: '/one/deep', force: 'true' });
    await put('/one/deep/a', 'first');
    await put('/b', 'second');
    const move = async (path: string, to: string, more = {}) => await call('POST', 'rename', { path, to, ...more });
    expect((await move('/one', '/two')).json).toMatchObject({ path: '/two', type: 'directory' });
    expect((await list('/', 3)).sort()).toEqual(['/b', '/two', '/two/deep', '/two/deep/a']);
    expect(await reasonOf(move('/two/deep/a', '/b', { force: 'false' }))).toEqual([409, 'file_exists']);
    expect((await move('/two/deep/a', '/b')).json).toMatchObject({ path: '/b', size: 5 });
    expect((await call('GET', 'file', { path: '/b' })).bytes.toString()).toBe('first');
    const refused = await move('/two', '/two/deep/two');
    expect([refused.status, (refused.json as { message: string }).message]).toEqual([
      400,
      'The path "/two/deep/two" cannot be used in this way.',
    ]);
    expect(await reasonOf(move('/none', '/c'))).toEqual([404, 'file_not_found']);
    expect(await reasonOf(move('/b', '/none/c'))).toEqual([404, 'file_not_found']);
    expect((await move('/', '/c')).status).toBe(400);
    expect((await move('/b', '/')).status).toBe(400);
    await restart();
    expect((await list('/', 3)).sort()).toEqual(['/b', '/two', '/two/deep']);
  });

  it('are counted, with what they have', async () => {
    const usage = async () => (await ask('GET', `${place}usage`)).json as { bytes: number; inodes: number };
    expect(await usage()).toEqual({ bytes: 0, inodes: 1 });
    await put('/a', 'x'.repeat(100_000));
    const { bytes, inodes } = await usage();
    expect([bytes >= 100_000 && bytes < 110_000, inodes]).toEqual([true, 2]);
    await call('DELETE', 'path', { path: '/a' });
    expect(await usage()).toEqual({ bytes: 0, inodes: 1 });
  });

  it('stay readable for who reads them when they are removed', async () => {
    await put('/a', Buffer.alloc(4 * 1024 * 1024, 'x'));
    const answer = await open('GET', `${place}file?path=/a`);
    answer.pause();
    await call('DELETE', 'path', { path: '/a' });
    let bytes = 0;
    for await (const chunk of answer as AsyncIterable<Uint8Array>) bytes += chunk.length;
    expect(bytes).toBe(4 * 1024 * 1024);
  });
});

describe('folders', () => {
  it('are made alone, or with their parents', async () => {
    expect(await reasonOf(call('POST', 'dir', { path: '/a/b' }))).toEqual([404, 'file_not_found']);
    const made = await call('POST', 'dir', { path: '/a/b/c', force: 'true', mode: String(0o700) });
    expect([made.status, made.json]).toMatchObject([
      201,
      { path: '/a/b/c', type: 'directory', mode: 0o700, uid: 1000 },
    ]);
    expect(await reasonOf(call('POST', 'dir', { path: '/a' }))).toEqual([409, 'file_exists']);
    expect((await call('POST', 'dir', { path: '/a', force: 'true' })).json).toMatchObject({ mode: 0o700 });
    expect(await reasonOf(call('POST', 'dir', { path: '/' }))).toEqual([409, 'file_exists']);
  });

  it('are listed as deep as wanted, of any length', async () => {
    await call('POST', 'dir', { path: '/a/b', force: 'true' });
    await put('/a/b/c', '');
    expect([await list('/'), await list('/', 2), await list('/', 9)]).toEqual([
      ['/a'],
      ['/a', '/a/b'],
      ['/a', '/a/b', '/a/b/c'],
    ]);
    await plant(async (volume) => {
      for (let count = 0; count < 1203; count++)
        await volume.create(1, Buffer.from(`f${count}`), { mode: 0o100644, uid: 0, gid: 0 });
    });
    expect(new Set(await list('/')).size).toBe(1204);
    expect(await reasonOf(call('GET', 'dir', { path: '/f1' }))).toEqual([400, 'not_a_directory']);
  });

  it('are removed with everything in them, but not the root', async () => {
    await call('POST', 'dir', { path: '/a/b/c', force: 'true' });
    await put('/a/b/f', 'x');
    await put('/a/g', 'x');
    expect((await call('DELETE', 'path', { path: '/a' })).status).toBe(204);
    expect(await list('/')).toEqual([]);
    expect(await reasonOf(call('DELETE', 'path', { path: '/' }))).toEqual([400, 'bad_path']);
  });

  it('get other attributes', async () => {
    await put('/a', 'x');
    const changed = await call('PATCH', 'path', { path: '/a', uid: '7', mode: String(0o4711) });
    expect(changed.json).toMatchObject({ uid: 7, gid: 1000, mode: 0o4711, size: 1 });
    expect((await call('GET', 'path', { path: '/' })).json).toMatchObject({ name: '/', path: '/', type: 'directory' });
  });
});

describe('paths', () => {
  it.each(['..', '/../a', './..', `/${'x'.repeat(256)}`])('refuse %s', async (path) => {
    expect(await reasonOf(call('GET', 'path', { path }))).toEqual([400, 'bad_path']);
    expect(await reasonOf(put(path, 'x'))).toEqual([400, 'bad_path']);
  });

  it('follow links inside the volume, and no others', async () => {
    await call('POST', 'dir', { path: '/real/sub', force: 'true' });
    await put('/real/file', 'through a link');
    await plant(async (volume) => {
      await link(volume, 'in', 'real');
      await link(volume, 'back', 'real/sub/..');
      await link(volume, 'absolute', '/etc/passwd');
      await link(volume, 'out', '../../etc');
      await link(volume, 'loop', 'loop');
      await link(volume, 'nowhere', 'real/new');
    });
    const read = async (path: string) => (await call('GET', 'file', { path })).bytes.toString();
    expect([await read('/in/file'), await read('/back/file')]).toEqual(['through a link', 'through a link']);
    expect(await list('/in')).toEqual(['/in/sub', '/in/file']);
    expect((await call('GET', 'path', { path: '/in' })).json).toMatchObject({ type: 'symlink', target: 'real' });
    for (const path of ['/absolute', '/out/passwd', '/out'])
      expect([path, await reasonOf(call('GET', 'file', { path }))]).toEqual([path, [400, 'bad_path']]);
    expect(await reasonOf(call('GET', 'file', { path: '/loop' }))).toEqual([409, 'link_loop']);
    await put('/nowhere', 'x');
    expect(await read('/real/new')).toBe('x');
    await call('DELETE', 'path', { path: '/in' });
    expect(await read('/real/file')).toBe('through a link');
  });

  it('show names that are not UTF-8, and times that no date has', async () => {
    await plant(async (volume) => {
      const { ino } = await volume.create(1, Buffer.from([0xff, 0x41]), { mode: 0o100644, uid: 0, gid: 0 });
      await volume.setAttributes(ino, { mtime: { sec: 2 ** 40, nsec: 0 }, atime: { sec: -(2 ** 40), nsec: 0 } });
    });
    expect((await call('GET', 'dir', { path: '/' })).json).toMatchObject([
      { name: '\ufffdA', mtime: '9999-12-31T23:59:59.999Z', atime: '0000-01-01T00:00:00.000Z' },
    ]);
  });
});

describe('limits', () => {
  it('of a volume and of a team refuse what goes beyond, and leave nothing of it', async () => {
    const mib = 1024 * 1024;
    const body = Buffer.alloc(2 * mib);
    expect(await reasonOf(put('/a', body, { sizeBytes: String(mib) }))).toEqual([507, 'disk_full']);
    const team = { sizeBytes: String(100 * mib), teamBytes: String(3 * mib) };
    expect((await put('/a', body, team)).status).toBe(201);
    expect(await reasonOf(put('/b', body, { ...team, length: String(2 * mib) }))).toEqual([429, 'limit_exceeded']);
    expect(await reasonOf(put('/b', body, team))).toEqual([429, 'limit_exceeded']);
    const other = await ask('PUT', `/team/v2/v2/file?path=/b&teamBytes=${3 * mib}`, body);
    expect((other.json as { reason: string }).reason).toBe('limit_exceeded');
    expect((await ask('PUT', `/another/v3/v3/file?path=/b&teamBytes=${3 * mib}`, body)).status).toBe(201);
    await call('DELETE', 'path', { path: '/a' });
    await expect.poll(async () => (await put('/b', body, team)).status).toBe(201);
  });
});

describe('a volume', () => {
  it('is removed with its files while it is used, and a late call does not make it again', async () => {
    await put('/a', Buffer.alloc(8 * 1024 * 1024));
    const answer = await open('GET', `${place}file?path=/a`);
    answer.pause();
    expect((await ask('DELETE', place)).status).toBe(204);
    await expect(answer.resume().toArray()).rejects.toThrow();
    expect(await reasonOf(put('/b', 'late'))).toEqual([404, 'volume_not_found']);
    expect(await reasonOf(call('POST', 'copy', { to: 'v2' }))).toEqual([404, 'volume_not_found']);
    expect(await readdir(join(folder, 'data/team'))).toEqual([]);
    expect((await ask('DELETE', '/team/never/never/')).status).toBe(204);
  });

  it('is not found outside of the folder of its team', async () => {
    for (const target of ['/team/v1/..%2f..%2fetc/file?path=/passwd', '/../file?path=/a', '/team/v1/v1/x/file?path=/'])
      expect(await reasonOf(ask('GET', target))).toEqual([400, 'bad_request']);
    expect(await reasonOf(ask('POST', `${place}file?path=/a`))).toEqual([404, 'route_not_found']);
    expect(await reasonOf(ask('POST', `${place}copy?to=../v2`))).toEqual([400, 'bad_request']);
  });
});

describe('a copy', () => {
  const copy = async (to: string, more: Record<string, string> = {}) => await call('POST', 'copy', { to, ...more });
  const read = async (volume: string, path: string) => (await ask('GET', `/team/v1/${volume}/file?path=${path}`)).bytes;
  const write = async (volume: string, path: string, body: Body) =>
    await ask('PUT', `/team/v1/${volume}/file?path=${path}`, body);
  const blocks = async (): Promise<number> =>
    (await readdir(join(folder, 'data/team/v1/blocks'), { recursive: true, withFileTypes: true })).filter((one) =>
      one.isFile(),
    ).length;
  const large = (fill: string): Buffer => Buffer.alloc(5 * 1024 * 1024, fill);

  it('has the contents of one moment, shares blocks, and changes alone', async () => {
    await put('/large', large('a'));
    await put('/small', 'as it was');
    const before = await blocks();
    expect((await copy('v2')).status).toBe(204);
    expect(await blocks()).toBe(before);
    await put('/large', large('b'));
    await write('v2', '/small', 'changed');
    expect((await read('v2', '/large')).equals(large('a'))).toBe(true);
    expect((await read('v1', '/large')).equals(large('b'))).toBe(true);
    expect([(await read('v1', '/small')).toString(), (await read('v2', '/small')).toString()]).toEqual([
      'as it was',
      'changed',
    ]);
  });

  it('outlives its source, and the group goes with its last volume', async () => {
    await put('/large', large('a'));
    await copy('v2');
    await ask('DELETE', place);
    await restart();
    expect((await read('v2', '/large')).equals(large('a'))).toBe(true);
    expect((await ask('DELETE', '/team/v1/v2/')).status).toBe(204);
    expect(await readdir(join(folder, 'data/team'))).toEqual([]);
  });

  it('that is a snapshot cannot be changed, but copied', async () => {
    await put('/a', 'x');
    await copy('s1', { readOnly: 'true' });
    expect(await reasonOf(write('s1', '/b', 'y'))).toEqual([403, 'forbidden']);
    expect(await reasonOf(ask('DELETE', '/team/v1/s1/path?path=/a'))).toEqual([403, 'forbidden']);
    expect((await ask('POST', '/team/v1/s1/copy?to=v3')).status).toBe(204);
    expect((await write('v3', '/b', 'y')).status).toBe(201);
    expect((await read('v3', '/a')).toString()).toBe('x');
  });

  it('counts as a whole against the limit of the team, and does not replace a volume', async () => {
    await put('/large', large('a'));
    const team = { teamBytes: String(9 * 1024 * 1024) };
    expect(await reasonOf(copy('v2', team))).toEqual([429, 'limit_exceeded']);
    const roomy = { teamBytes: String(11 * 1024 * 1024) };
    expect((await copy('v2', roomy)).status).toBe(204);
    expect(await reasonOf(put('/more', large('b'), roomy))).toEqual([429, 'limit_exceeded']);
    await ask('DELETE', '/team/v1/v2/');
    expect((await copy('v3')).status).toBe(204);
    expect(await reasonOf(copy('v3'))).toEqual([409, 'file_exists']);
    expect((await read('v3', '/large')).equals(large('a'))).toBe(true);
  });

  it('is whole although files are written all the time', async () => {
    let stop = false;
    const writing = (async () => {
      for (let round = 0; !stop; round++)
        for (const name of ['one', 'two']) await put(`/${name}`, `${round} `.repeat(20_000));
    })();
    await expect.poll(async () => (await list('/')).length).toBe(2);
    for (let number = 0; number < 5; number++) {
      expect((await copy(`c${number}`)).status).toBe(204);
      const [one = '', two = ''] = await Promise.all(
        ['one', 'two'].map(async (name) => (await read(`c${number}`, `/${name}`)).toString()),
      );
      for (const text of [one, two]) expect(new Set(text.trim().split(' ')).size).toBe(1);
      const [first, second] = [Number.parseInt(one), Number.parseInt(two)];
      expect(first - second === 0 || first - second === 1).toBe(true);
    }
    stop = true;
    await writing;
  });
});

describe('a backup', () => {
  const staged = async (path = ''): Promise<string[]> =>
    (await readdir(join(folder, 'data/.backup', path)).catch(() => [])).sort();

  it('gets volumes as they were when they were held, until it ends', async () => {
    expect((await ask('POST', '/stage')).status).toBe(204);
    await put('/a', 'before');
    expect((await call('POST', 'hold', {})).status).toBe(204);
    await put('/a', 'after');
    expect((await call('POST', 'stage', {})).status).toBe(204);
    expect(await staged('volumes/team/v1')).toEqual(['blocks', 'v1']);
    {
      await using volume = await openVolume(join(folder, 'data/.backup/volumes/team/v1'), 'v1');
      const inode = await volume.metadata.lookup(1, Buffer.from('a'));
      expect(String(await volume.read(inode?.ino ?? 0, 0, 100))).toBe('before');
    }
    // The service that takes over may begin in the middle, and what is there is no volume of it.
    await restart();
    expect((await call('GET', 'file', { path: '/a' })).bytes.toString()).toBe('after');
    expect((await call('POST', 'stage', {})).status).toBe(204);
    expect((await ask('DELETE', '/stage')).status).toBe(204);
    expect(await staged()).toEqual([]);
  });

  it('has nothing of a volume that was never used', async () => {
    await ask('POST', '/stage');
    for (const what of ['hold', 'stage']) expect((await call('POST', what, {})).status).toBe(204);
    expect([await staged(), (await readdir(join(folder, 'data'))).includes('team')]).toEqual([[], false]);
  });
});
