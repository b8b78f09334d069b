import { hostname } from 'node:os';
import { lookup } from 'node:dns/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeTree } from '@soulbox/base';
import { openObjectStore } from '@soulbox/storage/objects';
import type { ObjectStore } from '@soulbox/storage/objects';
import { amendConditions, hasMoto, startFaultProxy, startMoto, xml } from '@soulbox/storage/testing-objects';
import type { FaultProxy } from '@soulbox/storage/testing-objects';
import { findServerPart, startServer } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { buckets, Sandbox, SoulBoxError } from 'soulbox';
import type { MountedBucket } from 'soulbox';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { needs, skipWithout } from '../harness/needs.ts';
import { ownInstance } from '../harness/own-instance.ts';
import { server as shared } from '../harness/server.ts';
import { until } from '../harness/until.ts';

// Buckets of a store as folders of sandboxes, with the SDK and moto_server.
needs('volumes');

test.skipIf(!hasMoto && process.env['CI'] === undefined)('moto_server is installed', () => expect(hasMoto).toBe(true));

/** A list may be so old. */
const rememberedMs = 2500;
/** Credentials may be so old. */
const credentialsMs = 25_000;
const keys = { accessKeyId: 'AKIAFIRST', secretAccessKey: 'canary-first' };
const otherKeys = { accessKeyId: 'AKIASECOND', secretAccessKey: 'canary-second' };

describe.skipIf(!hasMoto)('a bucket', () => {
  let moto: Awaited<ReturnType<typeof startMoto>>;
  let proxy: FaultProxy;
  let store: ObjectStore;
  let server: ServerProcess;
  /** The key that the store accepts. */
  let accepted: string;
  let url: string;

  beforeAll(async () => {
    moto = await startMoto();
    proxy = await startFaultProxy(moto.url, amendConditions);
    for (const name of ['bucket', 'secret']) await fetch(`${moto.url}/${name}`, { method: 'PUT' });
    url = `s3://bucket/team?region=us-east-1&endpoint=${proxy.url}`;
    store = await openObjectStore(`s3://bucket/team?region=us-east-1&endpoint=${moto.url}`, { credentials: keys });
    server = await startServer({
      ...{ instance: ownInstance(), poolSize: 1 },
      environment: { SOULBOX_ISOLATION: shared.isolation, SOULBOX_BUCKET_ALLOW_PRIVATE: '127.0.0.1' },
    });
    accept(keys);
    await buckets.create({ name: 'data', url, credentials: keys }, connection());
  });
  afterEach(() => accept(keys));
  afterAll(async () => {
    await server.stop();
    await removeTree(server.dataDirectory);
    await store[Symbol.asyncDispose]();
    await proxy[Symbol.asyncDispose]();
    await moto[Symbol.asyncDispose]();
  });

  const accept = ({ accessKeyId }: { readonly accessKeyId: string }): void => {
    accepted = accessKeyId;
    proxy.use(({ headers }) =>
      headers.authorization?.includes(`Credential=${accepted}/`) === true ? undefined : xml(403, 'AccessDenied'),
    );
  };
  const connection = () => ({
    apiUrl: server.clientEnvironment['E2B_API_URL'] ?? '',
    sandboxUrl: server.clientEnvironment['E2B_SANDBOX_URL'] ?? '',
    apiKey: server.clientEnvironment['E2B_API_KEY'] ?? '',
  });
  /** Forgotten at the end of the test, after its sandboxes, which were made later. */
  const makeBucket = async (
    name: string,
    more: { readonly url?: string; readonly credentials?: typeof keys; readonly readOnly?: boolean } = {},
  ): Promise<void> => {
    await buckets.create({ name, url, credentials: keys, ...more }, connection());
    onTestFinished(async () => {
      await buckets.delete(name, connection());
    });
  };
  const mounting = async (bucketMounts: Readonly<Record<string, MountedBucket>>): Promise<Sandbox> => {
    const sandbox = await Sandbox.create({ ...connection(), bucketMounts, timeoutMs: 600_000 });
    onTestFinished(async () => {
      await sandbox.kill();
    });
    return sandbox;
  };
  const run = async ({ commands }: Sandbox, command: string, user = 'user'): Promise<string> =>
    (await commands.run(command, { user, timeoutMs: 120_000 })).stdout.trim();
  /** Standard error of a command that fails. */
  const failure = async (sandbox: Sandbox, command: string, user = 'user'): Promise<string> => {
    const thrown: unknown = await run(sandbox, command, user).catch((error: unknown) => error);
    if (!(thrown instanceof SoulBoxError)) throw new Error(`${command} did not fail: ${String(thrown)}`);
    return thrown.result?.stderr ?? thrown.message;
  };
  const objectText = async (key: string): Promise<string | undefined> => {
    if ((await store.stat(key)) === undefined) return undefined;
    const chunks: Uint8Array[] = [];
    for await (const chunk of (await store.get(key)).body as AsyncIterable<Uint8Array>) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  };
  const put = async (key: string, text: string): Promise<void> => {
    await store.put(key, Buffer.from(text));
  };

  test('is a folder: files become objects, objects are files, and a mount of a part has nothing else', async () => {
    await put('first/in', 'from outside');
    await put('beside', 'not in the mount');
    const sandbox = await mounting({ '/data': { name: 'data', prefix: 'first' } });
    expect(await run(sandbox, 'cat /data/in')).toBe('from outside');
    await run(sandbox, 'mkdir -p /data/a/ü && echo "from inside" > "/data/a/ü/b c" && sync "/data/a/ü/b c"');
    expect(await objectText('first/a/ü/b c')).toBe('from inside\n');
    await run(sandbox, 'printf x >> /data/in; rm /data/a/ü/*; cp /data/in /data/copy');
    expect([await objectText('first/in'), await objectText('first/copy')]).toEqual(['from outsidex', 'from outsidex']);
    expect(await objectText('first/a/ü/b c')).toBeUndefined();
    await put('first/later', 'added');
    await until('the new object', async () => (await run(sandbox, 'cat /data/later || true')) === 'added');
    expect(await run(sandbox, 'ls -A /data /data/..| tr "\\n" " "')).not.toContain('beside');
    expect(await objectText('beside')).toBe('not in the mount');
    const info = await sandbox.getInfo();
    expect(info.bucketMounts).toEqual([{ name: 'data', path: '/data', prefix: 'first/', readOnly: false }]);
    expect(info.volumeMounts).toEqual([]);
    // No program there sees credentials.
    expect(await run(sandbox, 'env; mount; cat /proc/self/mountinfo', 'root')).not.toMatch(/canary|AKIA/);
  });

  test('of many objects and a large one is listed and read whole', async () => {
    const names = Array.from({ length: 1500 }, (_, n) => `many/${String(n).padStart(4, '0')}`);
    for (let at = 0; at < names.length; at += 50)
      await Promise.all(names.slice(at, at + 50).map(async (name) => await put(name, name)));
    const sandbox = await mounting({ '/data': 'data' });
    expect(await run(sandbox, 'ls /data/many | sort -u | wc -l')).toBe('1500');
    const make = 'head -c 40000000 /dev/urandom > /tmp/large && cp /tmp/large /data/large';
    expect(await run(sandbox, `${make} && cmp /tmp/large /data/large && stat -c %s /data/large`)).toBe('40000000');
    expect((await store.stat('large'))?.sizeBytes).toBe(40_000_000);
  });

  test('that is read-only, or mounted so, cannot be changed, also by root', async () => {
    await put('read/only', 'kept');
    await makeBucket('frozen', { readOnly: true });
    const sandbox = await mounting({
      '/a': { name: 'data', prefix: 'read', readOnly: true },
      '/b': { name: 'frozen', prefix: 'read', readOnly: false },
    });
    for (const folder of ['/a', '/b']) {
      expect(await run(sandbox, `cat ${folder}/only`)).toBe('kept');
      expect(await failure(sandbox, `echo x > ${folder}/new`)).toContain('Read-only');
      await run(sandbox, `mount -o remount,rw ${folder}; rm -f ${folder}/only; echo x > ${folder}/only; true`, 'root');
    }
    expect((await store.list({ prefix: 'read/' })).objects.map(({ key }) => key)).toEqual(['read/only']);
    expect(await objectText('read/only')).toBe('kept');
  });

  test('that becomes read-only is so for mounts that exist', async () => {
    await makeBucket('changing');
    const sandbox = await mounting({ '/data': { name: 'changing', prefix: 'changing' } });
    await run(sandbox, 'echo x > /data/x');
    await buckets.update('changing', { readOnly: true }, connection());
    const writer = `import os
try:
    file = os.open("/data/y", os.O_CREAT | os.O_WRONLY)
    os.write(file, b"y")
    os.fsync(file)
except OSError as error: print(error.errno, flush=True)
os._exit(0)`;
    await sandbox.files.write('/tmp/write.py', writer);
    const readOnly = 30;
    const tried = async (): Promise<boolean> => (await run(sandbox, 'python3 /tmp/write.py')) === String(readOnly);
    await until('the refusal', tried, credentialsMs);
    expect(await objectText('changing/x')).toBe('x\n');
  });

  test('in two sandboxes is the same, and neither overwrites what the other has written', async () => {
    const mount = { '/data': { name: 'data', prefix: 'two' } };
    const [one, two] = [await mounting(mount), await mounting(mount)];
    await run(one, 'echo one > /data/f');
    expect(await until('the file', async () => (await run(two, 'cat /data/f || true')) || undefined)).toBe('one');
    const writer = `import os, time
f = open("/data/f", "r+")
f.write("late")
f.flush()
while not os.path.exists("/tmp/go"): time.sleep(0.05)
try: os.fsync(f.fileno())
except OSError as error: print(error.errno, flush=True)
os._exit(0)`;
    await one.files.write('/tmp/late.py', writer);
    const writing = await one.commands.run('python3 /tmp/late.py', { background: true, timeoutMs: 120_000 });
    await sleep(1000);
    await run(two, 'echo two > /data/f');
    await one.files.write('/tmp/go', '');
    const stale = 116;
    expect((await writing.wait()).stdout.trim()).toBe(String(stale));
    expect(await objectText('two/f')).toBe('two\n');
    const exclusive = `import os
try: print(os.close(os.open("/data/new", os.O_CREAT | os.O_EXCL | os.O_WRONLY)))
except FileExistsError: print("exists")`;
    for (const { files } of [one, two]) await files.write('/tmp/new.py', exclusive);
    const made = await Promise.all([one, two].map(async (each) => await run(each, 'python3 /tmp/new.py')));
    expect(made.toSorted()).toEqual(['None', 'exists']);
  });

  test('with wrong credentials is mounted, and its check and its programs say so', async () => {
    await makeBucket('wrong', { credentials: otherKeys });
    await put('wrong/in', 'x');
    await expect(buckets.check('wrong', connection())).rejects.toMatchObject({ reason: 'storage_access_denied' });
    await buckets.check('data', connection());
    const sandbox = await mounting({ '/data': { name: 'wrong', prefix: 'wrong' } });
    expect(await failure(sandbox, 'cat /data/in')).toContain('Permission denied');
    expect(await failure(sandbox, 'ls /data')).toContain('Permission denied');
  });

  test('gets new credentials while sandboxes use it', async () => {
    await makeBucket('rotated');
    await put('rotated/in', 'before');
    const sandbox = await mounting({ '/data': { name: 'rotated', prefix: 'rotated' } });
    expect(await run(sandbox, 'cat /data/in')).toBe('before');
    await buckets.update('rotated', { credentials: otherKeys }, connection());
    accept(otherKeys);
    const write = async (): Promise<boolean> => {
      await run(sandbox, 'echo after > /data/out || true');
      return (await objectText('rotated/out')) === 'after\n';
    };
    await until('a write with the new credentials', write, credentialsMs);
  });

  test('stays mounted over a pause, with the files that programs have open', async (context) => {
    skipWithout('checkpoint', context);
    await put('paused/in', 'in');
    const sandbox = await mounting({ '/data': { name: 'data', prefix: 'paused' } });
    const program = 'exec 3>> /data/log 4< /data/in; echo before >&3; while [ ! -e /tmp/go ]; do sleep 0.1; done';
    await sandbox.commands.run(`${program}; cat <&4 >&3; exec 3>&-`, { background: true, timeoutMs: 0 });
    await until('the first line', async () => (await run(sandbox, 'cat /data/log || true')) === 'before');
    await sandbox.pause();
    await put('paused/meanwhile', 'new');
    const again = await Sandbox.connect(sandbox.sandboxId, connection());
    expect(await run(again, 'cat /data/meanwhile')).toBe('new');
    await again.files.write('/tmp/go', '');
    await until('the rest', async () => (await objectText('paused/log')) === 'before\nin');
    expect((await again.getInfo()).bucketMounts).toMatchObject([{ prefix: 'paused/' }]);
  });

  test('is written by a program that maps a file, and behind gVisor such a sandbox is not saved and goes on', async (context) => {
    skipWithout('checkpoint', context);
    await put('mapped/file', 'a'.repeat(8192));
    const sandbox = await mounting({ '/data': { name: 'data', prefix: 'mapped' } });
    const program = `import mmap, os, time
file = open("/data/file", "r+b")
pages = mmap.mmap(file.fileno(), 0)
pages[:5] = b"first"
pages.flush(); os.fsync(file.fileno())
while not os.path.exists("/tmp/go"): time.sleep(0.1)
pages[8187:] = b"after"
pages.flush(); pages.close(); os.fsync(file.fileno()); file.close()`;
    await sandbox.files.write('/tmp/map.py', program);
    const mapping = await sandbox.commands.run('python3 /tmp/map.py', { background: true, timeoutMs: 0 });
    await until('the first bytes', async () => (await objectText('mapped/file')) === `first${'a'.repeat(8187)}`);
    if (shared.isolation === 'gvisor')
      await expect(sandbox.pause()).rejects.toMatchObject({ reason: 'checkpoint_failed' });
    else await sandbox.pause();
    const again = await Sandbox.connect(sandbox.sandboxId, connection());
    await again.files.write('/tmp/go', '');
    const { exitCode } = await (await again.commands.connect(mapping.pid)).wait();
    expect(exitCode).toBe(0);
    expect(await objectText('mapped/file')).toBe(`first${'a'.repeat(8182)}after`);
  });

  test('is in the copies of a sandbox, which write for themselves', async (context) => {
    skipWithout('checkpoint', context);
    const source = await mounting({ '/data': { name: 'data', prefix: 'copied' } });
    await run(source, 'echo source > /data/source');
    const { snapshotId } = await source.createSnapshot();
    onTestFinished(async () => {
      await Sandbox.deleteSnapshot(snapshotId, connection());
    });
    const [fork] = await source.fork({ count: 1, timeoutMs: 120_000 });
    if (!(fork instanceof Sandbox)) throw fork ?? new Error('There is no copy.');
    const later = await Sandbox.create({ ...connection(), template: snapshotId });
    for (const [name, sandbox] of Object.entries({ fork, later })) {
      expect((await sandbox.getInfo()).bucketMounts).toMatchObject([
        { name: 'data', path: '/data', prefix: 'copied/' },
      ]);
      expect(await run(sandbox, `cat /data/source; echo ${name} > /data/${name}`)).toBe('source');
      expect(await objectText(`copied/${name}`)).toBe(`${name}\n`);
      await sandbox.kill();
    }
  });

  test('cannot be deleted while a sandbox has it, and its objects stay', async () => {
    await makeBucket('used');
    const sandbox = await mounting({ '/data': { name: 'used', prefix: 'used' } });
    await run(sandbox, 'echo x > /data/x');
    await expect(buckets.delete('used', connection())).rejects.toThrow(sandbox.sandboxId);
    await sandbox.kill();
    expect(await buckets.delete('used', connection())).toBe(true);
    expect(await objectText('used/x')).toBe('x\n');
  });

  test('is a delay, not an error, for programs when the service is killed', async () => {
    // Its files must be new, also when the test is repeated.
    const prefix = `killed-${Date.now()}`;
    const sandbox = await mounting({ '/data': { name: 'data', prefix } });
    const program = `import time
log = open("/data/log", "w")
for n in range(150):
  log.write("%d\\n" % n)
  log.flush()
  with open("/data/%d" % n, "x") as one: one.write(str(n))
  time.sleep(0.02)
log.close()`;
    await sandbox.files.write('/tmp/write.py', program);
    const writing = await sandbox.commands.run('python3 /tmp/write.py', { background: true, timeoutMs: 300_000 });
    for (const at of [20, 60, 100]) {
      await until(`object ${at}`, async () => (await store.stat(`${prefix}/${at}`)) !== undefined, 120_000);
      const pid = findServerPart(server.pid, 'buckets') ?? 0;
      process.kill(pid, 'SIGKILL');
      await until('the end of the process', () => findServerPart(server.pid, 'buckets') !== pid);
    }
    expect(await writing.wait()).toMatchObject({ exitCode: 0, stderr: '' });
    const numbers = Array.from({ length: 150 }, (_, n) => String(n));
    expect(await objectText(`${prefix}/log`)).toBe(`${numbers.join('\n')}\n`);
    for (const n of numbers) expect(await objectText(`${prefix}/${n}`)).toBe(n);
  }, 300_000);

  test('at an address that is not allowed is refused, also behind a name, and nothing is asked there', async () => {
    const at = (endpoint: string) => `s3://secret?region=us-east-1&insecure=true&endpoint=${endpoint}`;
    const port = new URL(moto.url).port;
    for (const host of ['10.1.2.3', '127.0.0.2', 'localhost', '[::1]', '169.254.169.254'])
      await expect(
        buckets.create({ name: 'private', url: at(`http://${host}:${port}`), credentials: keys }, connection()),
      ).rejects.toThrow('private');
    const own = await lookup(hostname()).catch(() => undefined);
    // On a host whose name leads to an address that this server allows, there is no such name.
    if (own === undefined || own.address === '127.0.0.1') return;
    await makeBucket('named', { url: at(`http://${hostname()}:${port}`) });
    const refused: unknown = await buckets
      .check('named', { ...connection(), requestTimeoutMs: 150_000 })
      .catch((thrown: unknown) => thrown);
    expect(refused).toMatchObject({ reason: expect.stringMatching(/^storage_|bad_request|config_invalid/) as string });
    const sandbox = await mounting({ '/data': 'named' });
    expect(await failure(sandbox, 'timeout 100 ls /data')).not.toContain('secret');
  }, 300_000);

  test('is seen with a delay of a few seconds when others change it', async () => {
    const sandbox = await mounting({ '/data': { name: 'data', prefix: 'changed' } });
    await put('changed/f', 'one');
    expect(await until('the file', async () => (await run(sandbox, 'cat /data/f || true')) || undefined)).toBe('one');
    await put('changed/f', 'another');
    await sleep(rememberedMs);
    expect(await run(sandbox, 'cat /data/f')).toBe('another');
    await store.delete('changed/f');
    await sleep(rememberedMs);
    expect(await failure(sandbox, 'cat /data/f')).toContain('No such file');
  });
});
