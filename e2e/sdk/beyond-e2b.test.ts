import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { Sandbox, secrets, SoulBoxError } from 'soulbox';
import { folder } from 'soulbox/node';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { until } from '../harness/until.ts';
import '../harness/server.ts';

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = await Sandbox.create({ timeoutMs: 600_000 });
});
afterAll(async () => {
  await sandbox.kill();
});

function copyOf(copies: readonly (Sandbox | SoulBoxError)[]): Sandbox {
  const [copy] = copies;
  if (copy === undefined || copy instanceof SoulBoxError) throw copy ?? new Error('There is no copy.');
  onTestFinished(async () => {
    await copy.kill();
  });
  return copy;
}

test('a running sandbox, a paused one and a snapshot are forked, and readers of a process go on in the copy', async () => {
  const source = await Sandbox.create();
  onTestFinished(async () => {
    await source.kill();
  });
  const { id } = await source.process.start('bash', [
    '-c',
    'echo before; until [ -e /tmp/go ]; do sleep 0.05; done; echo after',
  ]);
  const [first, second] = [copyOf(await source.fork()), (await source.pause(), copyOf(await source.fork()))];
  const { snapshotId } = await source.createSnapshot({ name: 'sdk-snapshot' });
  const third = copyOf(await Sandbox.forkSnapshot(snapshotId));
  for (const copy of [first, second, third]) {
    await copy.files.write('/tmp/go', '');
    let text = '';
    for await (const event of copy.process.attach(id))
      if (event.type === 'output') text += new TextDecoder().decode(event.data);
    expect(text).toBe('before\nafter\n');
  }
  const listed = await source.listSnapshots().nextItems();
  expect(listed).toMatchObject([{ snapshotId, sandboxId: source.sandboxId }]);
  expect(listed[0]?.names.join()).toContain('sdk-snapshot');
  expect([await Sandbox.deleteSnapshot(snapshotId), await Sandbox.deleteSnapshot(snapshotId)]).toEqual([true, false]);
});

test('code and files run with the runtime that fits them', async () => {
  const parts: string[] = [];
  const outcome = await sandbox.run(
    { code: 'import sys\nprint("ö", len(sys.argv))\nsys.exit(2)' },
    {
      ...{ language: 'python', args: ['x'], onStdout: (text) => void parts.push(text) },
    },
  );
  expect(outcome).toMatchObject({ runtime: 'python', exitCode: 2, stdout: 'ö 2\n', stderr: '', timedOut: false });
  expect(parts.join('')).toBe('ö 2\n');
  await sandbox.files.write('run.sh', 'cat; echo done');
  expect(await sandbox.run({ file: 'run.sh' }, { stdin: 'in ' })).toMatchObject({ stdout: 'in done\n', exitCode: 0 });
  const local = await mkdtemp(join(tmpdir(), 'soulbox-sdk-run-'));
  onTestFinished(async () => await removeTree(local));
  await mkdir(join(local, 'lib'));
  await writeFile(join(local, 'lib/words.py'), 'word = "from here"');
  await writeFile(join(local, 'main.py'), 'from lib.words import word\nprint(word)');
  expect(await sandbox.run({ folder: folder(local) })).toMatchObject({ stdout: 'from here\n', exitCode: 0 });
  const missing = sandbox.run({ file: 'nothing.py' });
  await expect(missing).rejects.toMatchObject({ name: 'SoulBoxError', status: expect.any(Number) as number });
});

test('signed URLs open a file and a port without a key', async () => {
  await sandbox.files.write('signed.txt', 'content');
  const { url, expiresAt } = await sandbox.signUrl({ file: '/home/user/signed.txt' }, { expiresInSeconds: 60 });
  expect(await (await fetch(url)).text()).toBe('content');
  expect(Math.abs(expiresAt.getTime() - Date.now() - 60_000)).toBeLessThan(20_000);
  await sandbox.commands.run('python3 -m http.server 8000', { background: true, timeoutMs: 0 });
  await until('the port', async () => (await sandbox.fetch(8000, '/signed.txt')).status === 200);
  const port = await sandbox.signUrl({ port: 8000, path: '/signed.txt' });
  expect(await (await fetch(port.url)).text()).toBe('content');
});

test('metrics, events and logs are read in order, and followed', async () => {
  await sandbox.setTimeout(500_000);
  const types: string[] = [];
  for await (const { type } of sandbox.events()) types.push(type);
  expect(types).toEqual(['sandbox.lifecycle.created', 'sandbox.lifecycle.updated']);
  for await (const { sandboxId } of Sandbox.events({ follow: true })) if (sandboxId === sandbox.sandboxId) break;
  for await (const { memTotal, cpuCount } of sandbox.metrics({ follow: true })) {
    expect([memTotal > 0, cpuCount > 0]).toEqual([true, true]);
    break;
  }
  const messages: string[] = [];
  for await (const { message } of sandbox.logs()) messages.push(message);
  expect(messages.length).toBeGreaterThan(0);
  const stop = AbortSignal.timeout(1200);
  const followed = (async () => {
    for await (const entry of sandbox.logs({ follow: true, signal: stop })) messages.push(entry.message);
  })();
  await expect(followed).rejects.toMatchObject({ code: 'canceled', reason: 'aborted' });
});

test('secrets are stored, changed and listed, and their values are not shown', async () => {
  const secret = await secrets.create({ name: 'SDK_TOKEN', value: 'first', hosts: ['example.com'] });
  expect((await secrets.update('SDK_TOKEN', 'second')).currentVersion).toBe(2);
  expect((await secrets.setHosts(secret.secretID, ['example.org'])).hosts).toEqual(['example.org']);
  expect(JSON.stringify(await secrets.list().nextItems())).not.toMatch(/first|second/);
  expect([await secrets.delete('SDK_TOKEN'), await secrets.delete('SDK_TOKEN')]).toEqual([true, false]);
});
