import { findFreePort } from '@soulbox/testing';
import { Sandbox as OfficialSandbox } from 'e2b';
import { Sandbox, SoulBoxError } from 'soulbox';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { until } from '../harness/until.ts';
import { server } from '../harness/server.ts';

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = await Sandbox.create({ metadata: { test: 'sdk' }, timeoutMs: 600_000, envs: { GREETING: 'hello' } });
});
afterAll(async () => {
  await sandbox.kill();
});

const errorOf = async (call: Promise<unknown>): Promise<unknown> =>
  await call.then(
    () => undefined,
    (error: unknown) => error,
  );

test('a command runs with its output, variables, user and folder', async () => {
  const parts: string[] = [];
  const result = await sandbox.commands.run('echo "$GREETING $NAME ö"; pwd; id -un; echo bad >&2', {
    ...{ envs: { NAME: 'you' }, cwd: '/tmp', user: 'root', onStdout: (text) => void parts.push(text) },
  });
  expect(result).toEqual({ exitCode: 0, stdout: 'hello you ö\n/tmp\nroot\n', stderr: 'bad\n', lostBytes: 0 });
  expect(parts.join('')).toBe(result.stdout);
});

test('a failed command and one whose time is up throw, with what they printed', async () => {
  expect(await errorOf(sandbox.commands.run('echo part; echo why >&2; exit 3'))).toMatchObject({
    ...{ name: 'SoulBoxError', code: 'failed_precondition', reason: 'command_failed' },
    result: { exitCode: 3, stdout: 'part\n', stderr: 'why\n' },
  });
  expect(await errorOf(sandbox.commands.run('echo part; sleep 60', { timeoutMs: 500 }))).toMatchObject({
    ...{ code: 'deadline_exceeded', reason: 'command_timeout', result: { stdout: 'part\n' } },
  });
});

test('more output than the log keeps arrives complete, even with a slow reader', async () => {
  const { stdout, lostBytes } = await sandbox.commands.run('seq 1 100000', {
    ...{ log: { maxBytes: 65_536 }, onStdout: async () => await new Promise((resolve) => setImmediate(resolve)) },
  });
  expect(lostBytes).toBe(0);
  expect(stdout).toBe(Array.from({ length: 100_000 }, (_, index) => `${index + 1}\n`).join(''));
});

test('a log that is full of changes between its streams does not hold a command up', async () => {
  const script = 'for i in $(seq 1 20000); do echo -n o; echo -n e >&2; done';
  const { stdout, stderr } = await sandbox.commands.run(script, { log: { maxBytes: 65_536 } });
  expect([stdout.length, stderr.length]).toEqual([20_000, 20_000]);
});

test('a command in the background takes input, is found by its pid, and is killed', async () => {
  const handle = await sandbox.commands.run('cat', { background: true, stdin: true });
  await handle.sendStdin('one\n');
  await until('its output', () => handle.stdout === 'one\n');
  const other = await sandbox.commands.connect(handle.pid, { from: 'oldest' });
  await sandbox.commands.sendStdin(handle.pid, 'two\n');
  await until('its output', () => other.stdout === 'one\ntwo\n');
  expect((await sandbox.commands.list()).map(({ pid }) => pid)).toContain(handle.pid);
  await sandbox.commands.closeStdin(handle.pid);
  expect(await handle.wait()).toMatchObject({ exitCode: 0, stdout: 'one\ntwo\n' });
  expect(await sandbox.commands.kill(handle.pid)).toBe(false);
  const sleep = await sandbox.commands.run('sleep 60', { background: true });
  expect(await sleep.kill()).toBe(true);
  expect(await errorOf(sleep.wait())).toMatchObject({ reason: 'command_failed', result: { exitCode: -1 } });
});

test('output is read again from any position, and what the official client started as well', async () => {
  const official = await OfficialSandbox.connect(sandbox.sandboxId);
  const { pid } = await official.commands.run('echo started; sleep 1; echo ended', { background: true });
  const process = await sandbox.process.get(pid);
  const read = async (from: number | 'oldest'): Promise<string> => {
    let text = '';
    for await (const event of process.attach(from))
      if (event.type === 'output') text += new TextDecoder().decode(event.data);
    return text;
  };
  expect(await Promise.all([read('oldest'), read(3)])).toEqual(['started\nended\n', 'rted\nended\n']);
  expect((await process.wait()).code).toBe(0);
  expect(await errorOf(read(15))).toMatchObject({ code: 'out_of_range', retryable: false });
});

test('a terminal echoes, has its size and takes a new one', async () => {
  let text = '';
  const decoder = new TextDecoder();
  const terminal = await sandbox.pty.create({
    ...{ cols: 100, rows: 30, timeoutMs: 0, onData: (data) => void (text += decoder.decode(data, { stream: true })) },
  });
  await sandbox.pty.sendInput(terminal.pid, 'stty size\n');
  await until('the size', () => text.includes('30 100'));
  await sandbox.pty.resize(terminal.pid, { cols: 120, rows: 40 });
  await sandbox.pty.sendInput(terminal.pid, 'stty size\n');
  await until('the new size', () => text.includes('40 120'));
  expect(await sandbox.pty.kill(terminal.pid)).toBe(true);
});

test('files are written, read, listed, renamed and removed', async () => {
  const { files } = sandbox;
  // The file systems of gVisor keep none.
  const metadata = server.capabilities.ownKernel ? {} : { author: 'me' };
  const bytes = new Uint8Array(3_000_000).map((_, index) => index % 251);
  expect(await files.write('sdk/a.txt', 'äöü', { metadata })).toEqual({
    ...{ name: 'a.txt', path: '/home/user/sdk/a.txt', type: 'file' },
  });
  const stream = new Blob([bytes]).stream() as ReadableStream<Uint8Array>;
  await files.write([
    { path: 'sdk/b', data: stream },
    { path: 'sdk/c', data: new Blob(['c']) },
    { path: 'sdk/d', data: bytes.buffer },
  ]);
  expect(await files.read('sdk/a.txt')).toBe('äöü');
  expect(Buffer.from(await files.read('sdk/b', { format: 'bytes' })).equals(bytes)).toBe(true);
  expect(await (await files.read('sdk/c', { format: 'blob' })).text()).toBe('c');
  const parts: Uint8Array[] = [];
  for await (const part of await files.read('sdk/d', { format: 'stream' })) parts.push(part);
  expect(Buffer.concat(parts).equals(bytes)).toBe(true);
  expect(await files.makeDir('sdk/e')).toBe(true);
  expect(await files.makeDir('sdk/e')).toBe(false);
  expect((await files.list('sdk')).map(({ name, type }) => [name, type])).toEqual([
    ...[
      ['a.txt', 'file'],
      ['b', 'file'],
      ['c', 'file'],
      ['d', 'file'],
      ['e', 'dir'],
    ],
  ]);
  expect(await files.rename('sdk/a.txt', 'sdk/f.txt')).toMatchObject({ path: '/home/user/sdk/f.txt', size: 6 });
  expect(await files.getInfo('sdk/f.txt')).toMatchObject({ owner: 'user', mode: 0o644, metadata });
  expect([await files.exists('sdk/a.txt'), await files.exists('sdk/f.txt')]).toEqual([false, true]);
  await files.remove('sdk');
  expect(await files.exists('sdk')).toBe(false);
});

test('what is wrong with files has a code and a reason', async () => {
  const { files } = sandbox;
  const missing = await errorOf(files.read('/nothing'));
  expect(missing).toBeInstanceOf(SoulBoxError);
  expect(missing).toMatchObject({ code: 'not_found', reason: 'file_not_found', status: 404 });
  expect(await errorOf(files.list('/nothing'))).toMatchObject({ code: 'not_found', reason: 'file_not_found' });
  expect(await errorOf(files.write('/etc/hosts', 'x'))).toMatchObject({ code: 'permission_denied' });
  expect(await errorOf(files.read('/etc/hosts', { user: 'nobody-here' }))).toMatchObject({ reason: 'unknown_user' });
  expect(await errorOf(files.list('/etc', { user: 'nobody-here' }))).toMatchObject({ reason: 'unknown_user' });
});

test('a watch reports changes until it is stopped', async () => {
  await sandbox.files.makeDir('watched');
  const names: string[] = [];
  let exits = 0;
  const options = { onExit: () => void (exits += 1), recursive: true };
  const watch = await sandbox.files.watchDir(
    'watched',
    ({ name, type }) => void names.push(`${type} ${name}`),
    options,
  );
  await sandbox.files.write('watched/x', '1');
  await until('an event', () => names.includes('create x'));
  await watch.stop();
  expect(exits).toBe(1);
});

test('signed URLs of files open one file each', async () => {
  await sandbox.files.write('/tmp/signed', 'content');
  const url = await sandbox.downloadUrl('/tmp/signed', { useSignatureExpiration: 60 });
  expect(await (await fetch(url)).text()).toBe('content');
  expect((await fetch(url.replace('signed', 'other'))).status).toBe(401);
  const upload = await sandbox.uploadUrl('/tmp/uploaded');
  const form = new FormData();
  form.append('file', new Blob(['sent']), 'uploaded');
  expect((await fetch(upload, { method: 'POST', body: form })).status).toBe(200);
  expect(await sandbox.files.read('/tmp/uploaded')).toBe('sent');
});

test('a sandbox is described, listed, paused and resumed; attached readers miss nothing', async () => {
  const other = await Sandbox.create({ metadata: { test: 'sdk pause' }, lifecycle: { onTimeout: 'pause' } });
  onTestFinished(async () => {
    await other.kill();
  });
  expect(await other.getInfo()).toMatchObject({ state: 'running', lifecycle: { onTimeout: 'pause' } });
  const listed: string[] = [];
  for await (const { sandboxId } of Sandbox.list({ query: { metadata: { test: 'sdk pause' } } }))
    listed.push(sandboxId);
  expect(listed).toEqual([other.sandboxId]);

  const counter = await other.commands.run('for i in $(seq 1 150); do echo $i; sleep 0.01; done', { background: true });
  await until('some output', () => counter.stdout.length > 100);
  expect([await other.pause(), await other.betaPause()]).toEqual([true, false]);
  expect([await other.isRunning(), (await Sandbox.getInfo(other.sandboxId)).state]).toEqual([false, 'paused']);
  const again = await Sandbox.connect(other.sandboxId, { timeoutMs: 60_000 });
  expect(await again.isRunning()).toBe(true);
  const { stdout } = await counter.wait();
  expect(stdout).toBe(Array.from({ length: 150 }, (_, index) => `${index + 1}\n`).join(''));

  await again.setTimeout(120_000);
  const { endAt } = await again.getInfo();
  expect(Math.abs(endAt.getTime() - Date.now() - 120_000)).toBeLessThan(10_000);
  await until('a metric', async () => (await again.getMetrics()).some(({ memUsed }) => memUsed > 0));
});

test('a killed sandbox is gone for all calls, and its readers learn it at once', async () => {
  const id = await (async () => {
    await using other = await Sandbox.create();
    const sleep = await other.commands.run('sleep 100', { background: true });
    const startedAt = Date.now();
    const ended = errorOf(sleep.wait());
    await other.kill();
    expect(await ended).toMatchObject({ code: 'not_found', reason: 'sandbox_not_found' });
    expect(Date.now() - startedAt).toBeLessThan(5000);
    expect(await errorOf(other.commands.run('true'))).toMatchObject({ reason: 'sandbox_not_found' });
    expect(await errorOf(other.files.read('/etc/hosts'))).toMatchObject({ reason: 'sandbox_not_found' });
    expect(await errorOf(other.files.write('a', ''))).toMatchObject({ reason: 'sandbox_not_found' });
    expect(await errorOf(other.files.exists('a'))).toMatchObject({ reason: 'sandbox_not_found' });
    expect(await errorOf(other.commands.kill(sleep.pid))).toMatchObject({ reason: 'sandbox_not_found' });
    expect(await other.isRunning()).toBe(false);
    return other.sandboxId;
  })();
  expect(await Sandbox.kill(id)).toBe(false);
  const error = await errorOf(Sandbox.getInfo(id));
  expect(error).toMatchObject({ code: 'not_found', reason: 'sandbox_not_found', status: 404, retryable: false });
  expect((error as SoulBoxError).requestId).toMatch(/^\w+/);
});

test('a create with an idempotency key is made once', async () => {
  const options = { idempotencyKey: `sdk-${crypto.randomUUID()}` };
  const [one, two] = [await Sandbox.create(options), await Sandbox.create(options)];
  onTestFinished(async () => {
    await one.kill();
  });
  expect(two.sandboxId).toBe(one.sandboxId);
});

test('wrong settings are refused before a request', async () => {
  expect(await errorOf(Sandbox.create({ apiKey: 'e2b_00' }))).toMatchObject({ code: 'unauthenticated', status: 401 });
  expect(await errorOf(Sandbox.create({ apiUrl: 'nonsense' }))).toMatchObject({ reason: 'config_invalid' });
  expect(await errorOf(Sandbox.create({ retries: -1 }))).toMatchObject({ reason: 'config_invalid' });
  expect(await errorOf(Sandbox.getInfo('../teams'))).toMatchObject({ code: 'not_found' });
  const nobody = { apiUrl: `http://127.0.0.1:${await findFreePort()}`, retries: 1 };
  expect(await errorOf(Sandbox.create(nobody))).toMatchObject({ code: 'unavailable', retryable: true });
});

test('a program without an API key works with the access token of one sandbox', async () => {
  const { sandboxId, envdAccessToken } = sandbox;
  const sandboxUrl = `http://127.0.0.1:${server.port}`;
  const guest = new Sandbox({ ...{ sandboxId, envdAccessToken, sandboxUrl, apiUrl: sandboxUrl, apiKey: undefined } });
  expect((await guest.commands.run('echo in')).stdout).toBe('in\n');
});
