import { readFileSync } from 'node:fs';
import { AuthenticationError, Sandbox, SandboxNotFoundError } from 'e2b';
import { expect, test } from 'vitest';
import { askApi } from '../harness/http.ts';
import { createSandbox } from '../harness/sandbox.ts';
import { server } from '../harness/server.ts';

interface CreateAnswer {
  readonly sandboxID: string;
  readonly envdAccessToken?: string;
}

/** Creates a sandbox over raw REST, as other client versions do. It is killed at the end of the test. */
async function createRaw(path: string, body: object): Promise<CreateAnswer> {
  const { status, json } = await askApi('POST', path, body);
  expect(status, JSON.stringify(json)).toBe(201);
  const answer = json as CreateAnswer;
  await Sandbox.setTimeout(answer.sandboxID, 30_000);
  return answer;
}

async function secondsLeft(path: string, body: object): Promise<number> {
  const { status, json } = await askApi('POST', path, body);
  expect(status).toBe(201);
  const { sandboxID } = json as CreateAnswer;
  const info = await Sandbox.getInfo(sandboxID);
  await Sandbox.kill(sandboxID);
  return Math.round((info.endAt.getTime() - info.startedAt.getTime()) / 1000);
}

test('the response to a create has everything that the client needs', async () => {
  const sandbox = await createSandbox();
  expect(sandbox.sandboxId).toMatch(/^[a-z0-9]+$/);
  expect(await sandbox.isRunning()).toBe(true);
  const { status, json } = await askApi('GET', `/sandboxes/${sandbox.sandboxId}`);
  expect(status).toBe(200);
  expect(json).toMatchObject({
    sandboxID: sandbox.sandboxId,
    templateID: expect.any(String) as string,
    clientID: expect.any(String) as string,
    alias: 'base',
    state: 'running',
    envdVersion: '0.6.13',
    cpuCount: expect.any(Number) as number,
    memoryMB: expect.any(Number) as number,
    diskSizeMB: expect.any(Number) as number,
    envdAccessToken: expect.any(String) as string,
  });
});

test('a second create returns another sandbox with another token', async () => {
  const [a, b] = await Promise.all([createSandbox(), createSandbox()]);
  expect(a.sandboxId).not.toBe(b.sandboxId);
  await a.files.write('/home/user/secret.txt', 'a');
  expect(await b.files.exists('/home/user/secret.txt')).toBe(false);
});

test('metadata is returned unchanged', async () => {
  const metadata = { purpose: 'e2e', 'with space': 'ä ö & = %', empty: '' };
  const sandbox = await createSandbox({ metadata });
  expect((await sandbox.getInfo()).metadata).toEqual(metadata);
});

test('every command gets the environment variables of the sandbox and those of SoulBox', async () => {
  const sandbox = await createSandbox({ envs: { GREETING: 'hello world', QUOTE: `a'b"c$d` } });
  const { stdout } = await sandbox.commands.run('printenv GREETING QUOTE E2B_SANDBOX E2B_SANDBOX_ID');
  expect(stdout).toBe(`hello world\na'b"c$d\ntrue\n${sandbox.sandboxId}\n`);
});

test('the timeout defaults to 300 s in v2 and to 15 s in v1', async () => {
  expect(await secondsLeft('/v2/sandboxes', { templateID: 'base' })).toBe(300);
  expect(await secondsLeft('/sandboxes', { templateID: 'base' })).toBe(15);
  expect(await secondsLeft('/v2/sandboxes', { templateID: 'base', timeout: 77 })).toBe(77);
});

test('v2 is always secure, v1 only on request', async () => {
  const v2 = await createRaw('/v2/sandboxes', { templateID: 'base' });
  const open = await createRaw('/sandboxes', { templateID: 'base' });
  const secure = await createRaw('/sandboxes', { templateID: 'base', secure: true });
  expect(v2.envdAccessToken).toMatch(/./);
  expect(open.envdAccessToken).toBeUndefined();
  expect(secure.envdAccessToken).toMatch(/./);
  await Promise.all([v2, open, secure].map(async ({ sandboxID }) => await Sandbox.kill(sandboxID)));
});

test('a secure sandbox refuses a call without its token', async () => {
  const sandbox = await createSandbox();
  const stranger = new Sandbox({ sandboxId: sandbox.sandboxId, envdVersion: '0.6.13' });
  await expect(stranger.commands.run('true')).rejects.toThrow(AuthenticationError);
  await expect(stranger.files.list('/')).rejects.toThrow(AuthenticationError);
});

test('an insecure sandbox of v1 serves calls without a token', async () => {
  const { sandboxID } = await createRaw('/sandboxes', { templateID: 'base', secure: false });
  const sandbox = new Sandbox({ sandboxId: sandboxID, envdVersion: '0.6.13' });
  expect((await sandbox.commands.run('echo open')).stdout).toBe('open\n');
  await sandbox.kill();
});

test('getInfo returns times, template and resources', async () => {
  const before = Date.now();
  const sandbox = await createSandbox({ timeoutMs: 60_000 });
  const info = await sandbox.getInfo();
  expect(info).toMatchObject({ sandboxId: sandbox.sandboxId, name: 'base', state: 'running', metadata: {} });
  expect(info.startedAt.getTime()).toBeGreaterThanOrEqual(before - 1000);
  expect(info.endAt.getTime() - info.startedAt.getTime()).toBe(60_000);
  expect(info.lifecycle).toEqual({ onTimeout: 'kill', autoResume: false });
  expect(info.cpuCount).toBeGreaterThan(0);
  expect(info.memoryMB).toBeGreaterThan(0);
});

test('connect returns a second handle to the same sandbox', async () => {
  const sandbox = await createSandbox();
  await sandbox.files.write('/home/user/from-first.txt', 'x');
  const again = await Sandbox.connect(sandbox.sandboxId);
  expect(again.sandboxId).toBe(sandbox.sandboxId);
  expect(await again.files.read('/home/user/from-first.txt')).toBe('x');
});

test('an unknown template is refused', async () => {
  await expect(Sandbox.create('no-such-template')).rejects.toThrow(/no-such-template/);
});

test('a wrong key is refused with AuthenticationError', async () => {
  await expect(Sandbox.create({ apiKey: `e2b_${'0'.repeat(40)}` })).rejects.toThrow(AuthenticationError);
});

test('a timeout of zero or beyond the maximum is refused', async () => {
  for (const timeout of [0, -1, 24 * 3600 + 1, 1e15]) {
    const { status, json } = await askApi('POST', '/v2/sandboxes', { templateID: 'base', timeout });
    expect([status, json]).toEqual([400, { code: 400, message: expect.any(String) as string }]);
  }
  const { json } = await askApi('POST', '/v2/sandboxes', { templateID: 'base', timeout: 24 * 3600 + 1 });
  expect(json).toMatchObject({ message: 'Timeout cannot be greater than 24 hours' });
});

test('calls for a sandbox that never existed fail with not found', async () => {
  const nobody = 'inobody0000000000000a';
  expect(await Sandbox.kill(nobody)).toBe(false);
  await expect(Sandbox.getInfo(nobody)).rejects.toThrow(SandboxNotFoundError);
  await expect(Sandbox.connect(nobody)).rejects.toThrow(SandboxNotFoundError);
  await expect(Sandbox.setTimeout(nobody, 1000)).rejects.toThrow(SandboxNotFoundError);
  await expect(Sandbox.getMetrics(nobody)).rejects.toThrow(SandboxNotFoundError);
});

test('twenty creates at once all succeed', async () => {
  const sandboxes = await Promise.all(Array.from({ length: 20 }, async () => await createSandbox()));
  expect(new Set(sandboxes.map(({ sandboxId }) => sandboxId)).size).toBe(20);
  const outputs = await Promise.all(sandboxes.map(async (sandbox) => await sandbox.commands.run('hostname')));
  expect(outputs.map(({ stdout }) => stdout.trim())).toEqual(sandboxes.map(({ sandboxId }) => sandboxId));
});

test.each(['container', 'gvisor'])(
  'the isolation %s can be chosen, and is in effect',
  { timeout: 60_000 },
  async (isolation) => {
    const { sandboxID } = await createRaw('/v2/sandboxes', { templateID: 'base', isolation });
    const sandbox = await Sandbox.connect(sandboxID);
    const kernel = (await sandbox.commands.run('cat /proc/version')).stdout;
    // The kernel of the host, or one in user space, which reports another version.
    if (isolation === 'container') expect(kernel).toBe(readFileSync('/proc/version', 'utf8'));
    else expect(kernel).not.toBe(readFileSync('/proc/version', 'utf8'));
    const { json } = await askApi('GET', `/sandboxes/${sandboxID}`);
    expect(json).toMatchObject({ isolation });
    await sandbox.kill();
  },
);

test('the default isolation is that of the server', async () => {
  const { sandboxID } = await createRaw('/v2/sandboxes', { templateID: 'base' });
  expect((await askApi('GET', `/sandboxes/${sandboxID}`)).json).toMatchObject({ isolation: server.isolation });
});
