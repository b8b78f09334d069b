/** @module-tag violation */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { text } from 'node:stream/consumers';
import { openObjectStore } from '@soulbox/storage/objects';
import type { ObjectStore, StoreLimits } from '@soulbox/storage/objects';
import { amendConditions, hasMoto, startFaultProxy, startMoto, xml } from '@soulbox/storage/testing-objects';
import type { FaultProxy } from '@soulbox/storage/testing-objects';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { mountBucket } from '../testing/mounted-bucket.ts';
import type { MountedBucket } from '../testing/mounted-bucket.ts';
import { errnoOf, runScript } from '../testing/run-script.ts';
import { whyNoMounts } from '../testing/why-no-mounts.ts';

const retries = { attempts: 3, initialDelayMs: 10, maxDelayMs: 20, budgetMs: 3000, retryAfterMaxMs: 100 };
const limits: Partial<StoreLimits> = { retries, attemptMs: 2000 };
const credentials = { accessKeyId: 'AKIATEST', secretAccessKey: 'not a secret' };
const isOutage = { kind: 'answer', status: 503, body: '' } as const;

// Without moto a test of this file fails in CI and says so elsewhere.
test.skipIf(!hasMoto && process.env['CI'] === undefined)('moto_server is installed', () => expect(hasMoto).toBe(true));

describe.skipIf(!hasMoto || whyNoMounts !== undefined)('a bucket of S3 that is mounted', () => {
  let moto: Awaited<ReturnType<typeof startMoto>>;
  let proxy: FaultProxy;
  let url: string;
  let store: ObjectStore;
  beforeAll(async () => {
    moto = await startMoto();
    proxy = await startFaultProxy(moto.url, amendConditions);
    await fetch(`${moto.url}/bucket`, { method: 'PUT' });
    url = `s3://bucket?region=us-east-1&endpoint=${proxy.url}`;
    store = await openObjectStore(url, { credentials });
  });
  afterAll(async () => {
    await store[Symbol.asyncDispose]();
    await proxy[Symbol.asyncDispose]();
    await moto[Symbol.asyncDispose]();
  });
  afterEach(() => proxy.use(() => undefined));

  const mount = async (options: object = {}): Promise<MountedBucket> =>
    await mountBucket({ url, credentials, limits, ...options });
  const contentOf = async (key: string): Promise<string> => await text((await store.get(key)).body);
  const put = async (key: string, content: string | Uint8Array): Promise<unknown> =>
    await store.put(key, Buffer.from(content));

  test('reads and writes large files in parts', async () => {
    await using mounted = await mount();
    const content = Buffer.alloc(24 * 1024 * 1024, 'some bytes that repeat ');
    await put('large', content);
    const digest = createHash('sha256').update(content).digest('hex');
    const output = await runScript(
      mounted.path,
      'cp large copy; sha256sum < large; tail -c 100000 large | sha256sum; stat -c %s copy',
    );
    const tail = createHash('sha256').update(content.subarray(-100_000)).digest('hex');
    expect(output).toBe(`${digest}  -\n${tail}  -\n${content.length}\n`);
    expect((await store.stat('copy'))?.sizeBytes).toBe(content.length);
  });

  test('hides keys that are no paths, and keeps them', async () => {
    const odd = ['odd//empty', 'odd/./dot', 'odd/../up', 'odd/a\\b', `odd/${'n'.repeat(256)}`, 'odd/good'];
    for (const key of odd) await putRaw(key);
    await using mounted = await mount();
    expect(await runScript(mounted.path, 'ls -a odd')).toBe('.\n..\ngood\n');
    expect(await errnoOf(mounted.path, 'os.rmdir("odd")')).toBe('ENOTEMPTY');
    await runScript(mounted.path, 'rm -f odd/good; ls odd; ! rmdir odd 2>/dev/null');
    const left = await fetch(`${moto.url}/bucket?list-type=2&prefix=odd/`);
    expect((await left.text()).match(/<Key>/g)).toHaveLength(odd.length - 1);
  });

  const putRaw = async (key: string): Promise<void> => {
    // `fetch` would resolve dots.
    const path = key
      .split('/')
      .map((part) => encodeURIComponent(part).replaceAll('.', '%2E'))
      .join('/');
    const script = `import urllib.request as r; r.urlopen(r.Request("${moto.url}/bucket/${path}", data=b"x", method="PUT"))`;
    const child = spawn('/usr/bin/python3', ['-c', script], { stdio: 'inherit' });
    expect(await once(child, 'exit')).toEqual([0, null]);
  };

  test('answers an outage with EIO, and writes later what it has kept', async () => {
    await put('kept', 'before');
    await using mounted = await mount({ rememberMs: 0 });
    proxy.use(({ method }) => (method === 'PUT' ? isOutage : undefined));
    const program = `
import os
fd = os.open("kept", os.O_WRONLY | os.O_TRUNC)
os.write(fd, b"after")
try:
    os.fsync(fd)
except OSError as error:
    print(error.errno, flush=True)
input()
os.fsync(fd)
os.close(fd)
print("closed")`;
    const child = spawn('/usr/bin/python3', ['-c', program], { cwd: mounted.path, stdio: ['pipe', 'pipe', 'inherit'] });
    const output = text(child.stdout);
    const failed = once(child.stdout, 'data');
    expect(String((await failed)[0]).trim()).toBe('5');
    expect(await contentOf('kept')).toBe('before');
    proxy.use(() => undefined);
    child.stdin.end('\n');
    await output;
    expect(await contentOf('kept')).toBe('after');
    proxy.use(() => isOutage);
    expect(await errnoOf(mounted.path, 'os.listdir(".")')).toBe('EIO');
    expect(await errnoOf(mounted.path, 'open("kept")')).toBe('EIO');
    expect(await errnoOf(mounted.path, 'os.unlink("kept")')).toBe('EIO');
    proxy.use(() => xml(403, 'AccessDenied'));
    expect(await errnoOf(mounted.path, 'open("kept")')).toBe('EACCES');
    expect(await errnoOf(mounted.path, 'os.mkdir("new")')).toBe('EACCES');
    proxy.use(() => undefined);
    expect(await runScript(mounted.path, 'cat kept')).toBe('after');
  });

  test('continues reads and writes whose connection or answer was lost', async () => {
    const content = 'x'.repeat(600_000);
    await put('broken', content);
    await using mounted = await mount();
    let faults = 0;
    proxy.use(({ method, path }) => {
      if (method === 'GET' && path.includes('/broken') && faults++ < 2) return { kind: 'cut', afterBytes: 1000 };
      return undefined;
    });
    expect(await runScript(mounted.path, 'cat broken')).toBe(content);
    expect(faults).toBeGreaterThan(2);
    let lost = 0;
    proxy.use(({ method }) => (method === 'PUT' && lost++ === 0 ? { kind: 'lose' } : undefined));
    await runScript(mounted.path, 'echo once > written');
    expect(await contentOf('written')).toBe('once\n');
  });

  test('never mixes bytes of two versions, whatever the store sends', async () => {
    await put('lying', 'x'.repeat(600_000));
    await using mounted = await mount();
    proxy.use(({ method, path }) =>
      method === 'GET' && path.includes('/lying') ? { kind: 'shorten', bytes: 5 } : undefined,
    );
    expect(await errnoOf(mounted.path, 'open("lying").read()')).toBe('EIO');
  });

  test('a new file keeps its name while others ask for it', async () => {
    await using slow = await startFaultProxy(moto.url, async (request, upstream) => {
      if (request.method === 'PUT') await sleep(400);
      return await amendConditions(request, upstream);
    });
    await using mounted = await mount({ url: `s3://bucket?region=us-east-1&endpoint=${slow.url}` });
    const program = `
import os, threading
asking = threading.Timer(0.2, lambda: os.path.exists("new"))
os.path.exists("new")
asking.start()
fd = os.open("new", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
asking.join()
print(os.path.basename(os.readlink(f"/proc/self/fd/{fd}")))`;
    expect(await runScript(mounted.path, `python3 -I -c '${program}'`)).toBe('new\n');
  });

  test('a signal ends the wait for a store that does not answer', async () => {
    await put('slow', 'x');
    await using mounted = await mount({ limits: { ...limits, attemptMs: 6000 } });
    let asked = 0;
    proxy.use(() => {
      asked += 1;
      return { kind: 'hang' };
    });
    const child = spawn('/bin/cat', ['slow'], { cwd: mounted.path, stdio: 'ignore' });
    while (asked === 0) await sleep(5);
    const start = performance.now();
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(performance.now() - start).toBeLessThan(3000);
  });

  test('goes on after kills of its server: open files, names, and what is not uploaded yet', async () => {
    await put('read', Buffer.alloc(20 * 1024 * 1024, 'r'));
    await put('changed', 'abcdef');
    await using mounted = await mount();
    const program = `
import os
new = open("folder/new", "w")
new.write("one,"); new.flush()
changed = open("changed", "r+")
changed.write("ABC"); changed.flush()
read = open("read", "rb", buffering=0)
count = len(read.read(1000000))
os.chdir("folder")
gone = open("../gone", "w+"); gone.write("nameless"); gone.flush(); os.unlink("../gone")
names = os.scandir("..")
first = next(names).name
print("ready", flush=True)
while True:
    line = input()
    if line == "end": break
    new.write(line); new.flush()
    count += len(read.read(1000000))
    os.listdir("..")
    print("ok", flush=True)
new.close(); changed.close()
while chunk := read.read(1000000):
    assert set(chunk) == {ord("r")}
    count += len(chunk)
gone.seek(0)
print(count, gone.read(), "changed" in [first] + [entry.name for entry in names])`;
    await runScript(mounted.path, 'mkdir folder');
    const child = spawn('/usr/bin/python3', ['-c', program], { cwd: mounted.path, stdio: ['pipe', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => (output += part));
    const until = async (word: string): Promise<void> => {
      while (!output.endsWith(`${word}\n`) && child.exitCode === null) await sleep(5);
      output = '';
    };
    await until('ready');
    for (let round = 0; round < 4; round += 1) {
      const pid = mounted.supervisor.serverPid();
      if (pid !== undefined) process.kill(pid, 'SIGKILL');
      child.stdin.write(`${round},\n`);
      await until('ok');
    }
    child.stdin.write('end\n');
    await once(child, 'exit');
    expect(output).toBe(`${20 * 1024 * 1024} nameless True\n`);
    expect(await contentOf('folder/new')).toBe('one,0,1,2,3,');
    expect(await contentOf('changed')).toBe('ABCdef');
    expect(await store.stat('gone')).toBeUndefined();
    expect(mounted.events.filter((event) => event.type === 'serving' && event.isTakeover).length).toBeGreaterThan(2);
  });
});
