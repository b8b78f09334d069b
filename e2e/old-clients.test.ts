import { describe, expect, onTestFinished, test } from 'vitest';
import { Sandbox as Sandbox214 } from 'e2b-2.14';
import { Sandbox as Sandbox245 } from 'e2b-2.45';
import { ask } from './harness/http.ts';
import { createSandbox } from './harness/sandbox.ts';
import './harness/server.ts';

test('the clients 2.7.0 to 2.14.0 name no sandbox on /files and /health in the plain form, only its token', async () => {
  const sandbox = await createSandbox({ lifecycle: { onTimeout: 'pause', autoResume: true } });
  const token = (sandbox as unknown as { envdAccessToken: string }).envdAccessToken;
  const headers = { 'x-access-token': token, 'content-type': 'application/octet-stream' };
  const path = '/files?path=plain.txt';
  const health = async (): Promise<number> => (await ask({ path: '/health', headers })).status;
  expect((await ask({ method: 'POST', path, headers, body: 'plain' })).status).toBe(200);
  expect(await sandbox.files.read('plain.txt')).toBe('plain');
  expect(await health()).toBe(204);
  await sandbox.pause();
  expect(await health()).toBe(502);
  expect((await ask({ path, headers })).body).toBe('plain');
  expect(await health()).toBe(204);
  expect((await ask({ path, headers: { 'x-access-token': `${token}x` } })).status).toBe(502);
  await sandbox.kill();
  expect([await health(), (await ask({ path, headers })).status]).toEqual([502, 502]);
});

describe('the client 2.45.0', () => {
  test('creates, runs, writes, lists and kills', async () => {
    const sandbox = await Sandbox245.create({ metadata: { client: '2.45' }, timeoutMs: 60_000 });
    try {
      expect((await sandbox.commands.run('echo hi; id -un')).stdout).toBe('hi\nuser\n');
      await sandbox.files.write('old.txt', 'from an old client');
      expect(await sandbox.files.read('/home/user/old.txt')).toBe('from an old client');
      expect((await sandbox.files.list('/home/user')).map(({ name }) => name)).toContain('old.txt');
      const listed = await Sandbox245.list({ query: { metadata: { client: '2.45' } } }).nextItems();
      expect(listed.map(({ sandboxId }) => sandboxId)).toEqual([sandbox.sandboxId]);
      const again = await Sandbox245.connect(sandbox.sandboxId, { timeoutMs: 120_000 });
      expect(await again.files.exists('old.txt')).toBe(true);
      await sandbox.setTimeout(30_000);
      expect((await sandbox.getInfo()).endAt.getTime() - Date.now()).toBeLessThan(31_000);
      expect((await fetch(await sandbox.downloadUrl('old.txt'))).status).toBe(200);
    } finally {
      expect(await sandbox.kill()).toBe(true);
    }
    expect(await sandbox.isRunning()).toBe(false);
    await expect(sandbox.commands.run('true')).rejects.toThrow();
  });

  test('pauses, finds by state, connects, copies and forks', { timeout: 120_000 }, async () => {
    const metadata = { client: `2.45-${Date.now()}` };
    const sandbox = await Sandbox245.create({ metadata, timeoutMs: 120_000 });
    const { sandboxId } = sandbox;
    const made: { kill(): Promise<boolean> }[] = [sandbox];
    onTestFinished(async () => {
      for (const each of made) await each.kill();
    });
    const { pid } = await sandbox.commands.run('sleep 4242', { background: true, timeoutMs: 0 });
    const expectSame = async (each: typeof sandbox): Promise<void> => {
      expect((await each.commands.run('pgrep -fx "sleep 4242"')).stdout).toBe(`${pid}\n`);
    };
    await sandbox.files.write('old.txt', 'from an old client');

    expect(await sandbox.pause()).toBe(true);
    expect(await Sandbox245.pause(sandboxId)).toBe(false);
    expect((await sandbox.getInfo()).state).toBe('paused');
    const paused = await Sandbox245.list({ query: { metadata, state: ['paused'] } }).nextItems();
    expect(paused.map((each) => each.sandboxId)).toEqual([sandboxId]);
    expect(await Sandbox245.list({ query: { metadata, state: ['running'] } }).nextItems()).toEqual([]);
    await expectSame(await Sandbox245.connect(sandboxId, { timeoutMs: 120_000 }));

    const { snapshotId } = await sandbox.createSnapshot();
    const snapshots = await Sandbox245.listSnapshots({ sandboxId }).nextItems();
    expect(snapshots.map((each) => each.snapshotId)).toEqual([snapshotId]);
    const copy = await Sandbox245.create(snapshotId, { timeoutMs: 120_000 });
    made.push(copy);
    await expectSame(copy);
    expect(await copy.files.read('old.txt')).toBe('from an old client');
    expect(await Sandbox245.deleteSnapshot(snapshotId)).toBe(true);
    expect(await Sandbox245.deleteSnapshot(snapshotId)).toBe(false);

    for (const fork of await sandbox.fork({ count: 2, timeoutMs: 120_000 })) {
      if (fork instanceof Error) throw fork;
      made.push(fork);
      await expectSame(fork);
    }
    await expectSame(sandbox);
  });

  test('lives 300 s unless told otherwise, and is secure', async () => {
    const sandbox = await Sandbox245.create();
    const { startedAt, endAt } = await sandbox.getInfo();
    expect(endAt.getTime() - startedAt.getTime()).toBe(300_000);
    expect(await sandbox.downloadUrl('x')).toContain('signature=v1_');
    await sandbox.kill();
  });
});

describe('the client 2.14.1', () => {
  test('creates, runs, writes, lists and kills', async () => {
    const sandbox = await Sandbox214.create({ metadata: { client: '2.14' }, timeoutMs: 60_000 });
    try {
      const result = await sandbox.commands.run('echo hi; echo err >&2');
      expect([result.stdout, result.stderr, result.exitCode]).toEqual(['hi\n', 'err\n', 0]);
      await expect(sandbox.commands.run('exit 3')).rejects.toMatchObject({ exitCode: 3 });
      await sandbox.files.write('older.txt', 'from an older client');
      expect(await sandbox.files.read('/home/user/older.txt')).toBe('from an older client');
      const handle = await sandbox.commands.run('cat', { background: true, stdin: true });
      await sandbox.commands.sendStdin(handle.pid, 'typed');
      expect(await handle.kill()).toBe(true);
      await handle.wait().catch(() => undefined);
      const listed = await Sandbox214.list({ query: { metadata: { client: '2.14' } } }).nextItems();
      expect(listed.map(({ sandboxId }) => sandboxId)).toEqual([sandbox.sandboxId]);
      const again = await Sandbox214.connect(sandbox.sandboxId);
      expect(await again.files.exists('older.txt')).toBe(true);
      await sandbox.setTimeout(30_000);
    } finally {
      await sandbox.kill();
    }
    expect(await sandbox.isRunning()).toBe(false);
  });

  test('pauses, connects and makes copies', { timeout: 120_000 }, async () => {
    const sandbox = await Sandbox214.create({ timeoutMs: 120_000 });
    const made = [sandbox];
    onTestFinished(async () => {
      for (const each of made) await each.kill();
    });
    const { pid } = await sandbox.commands.run('sleep 4242', { background: true, timeoutMs: 0 });
    const expectSame = async (each: typeof sandbox): Promise<void> => {
      expect((await each.commands.run('pgrep -fx "sleep 4242"')).stdout).toBe(`${pid}\n`);
    };
    expect(await sandbox.pause()).toBe(true);
    expect((await sandbox.getInfo()).state).toBe('paused');
    await expectSame(await Sandbox214.connect(sandbox.sandboxId, { timeoutMs: 120_000 }));
    const { snapshotId } = await sandbox.createSnapshot();
    const copy = await Sandbox214.create(snapshotId, { timeoutMs: 120_000 });
    made.push(copy);
    await expectSame(copy);
    expect(await Sandbox214.deleteSnapshot(snapshotId)).toBe(true);
  });
});
