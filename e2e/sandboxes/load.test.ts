import { readFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { NotEnoughSpaceError, Sandbox, TimeoutError } from 'e2b';
import { expect, test } from 'vitest';
import { readCpuSeconds } from '../harness/host-cpu.ts';
import { findEnvd } from '../harness/envd-process.ts';
import { askApi } from '../harness/http.ts';
import { skipWithout } from '../harness/needs.ts';
import { createSandbox } from '../harness/sandbox.ts';
import { server } from '../harness/server.ts';
import { until } from '../harness/until.ts';

// Some hosts take memory away from their guests. Then envd's pages must first be read back from the disk.
const timeout = 150_000;

async function answerMs(sandbox: Sandbox): Promise<number> {
  const startedAt = performance.now();
  await sandbox.files.list('/');
  return performance.now() - startedAt;
}

test('a program that uses too much memory is killed, and its sandbox continues', async (context) => {
  skipWithout('survivesOutOfMemory', context);
  const sandbox = await createSandbox();
  const { memoryMB } = await sandbox.getInfo();
  const hog = `python3 -c "x = b'x' * (${String(memoryMB)} * 2 * 1024 * 1024)"`;
  const error = await sandbox.commands.run(`${hog}; echo status $?`, { timeoutMs: 30_000 });
  expect(error.stdout).toBe('status 137\n');
  expect((await sandbox.commands.run('echo alive')).stdout).toBe('alive\n');
});

test('a sandbox that does not survive being out of memory ends, and its owner gets the cause', async ({ skip }) => {
  if (server.capabilities.survivesOutOfMemory) skip(`the isolation "${server.isolation}" survives it`);
  const sandbox = await createSandbox();
  const { memoryMB } = await sandbox.getInfo();
  const hog = `python3 -c "x = b'x' * (${String(memoryMB)} * 2 * 1024 * 1024)"`;
  await expect(sandbox.commands.run(hog, { timeoutMs: 30_000 })).rejects.toThrow(TimeoutError);
  const { status, json } = await askApi('GET', `/sandboxes/${sandbox.sandboxId}`);
  expect([status, JSON.stringify(json)]).toEqual([404, expect.stringContaining('out_of_memory')]);
});

test('envd answers while programs use every CPU and repeatedly all memory', { timeout }, async (context) => {
  skipWithout('survivesOutOfMemory', context);
  const sandbox = await createSandbox();
  const { memoryMB, cpuCount } = await sandbox.getInfo();
  await sandbox.files.write(
    '/home/user/burn.sh',
    `for i in $(seq ${String(cpuCount * 4)}); do (while :; do :; done) & done
while :; do python3 -c "x = b'x' * (${String(memoryMB)} * 2 * 1024 * 1024)"; done`,
  );
  await sandbox.commands.run('bash /home/user/burn.sh', { background: true, timeoutMs: 0 });
  const times: number[] = [];
  for (let count = 0; count < 30; count++) times.push(await answerMs(sandbox));
  expect(times.filter((ms) => ms > 1000).length).toBeLessThan(5);
  expect(Math.max(...times)).toBeLessThan(20_000);
  expect((await sandbox.commands.run('echo alive', { timeoutMs: 20_000 })).stdout).toBe('alive\n');
});

test('a user whose processes are at their limit gets that as the reason, and root may still start some', async (context) => {
  // There, 2,048 processes need more memory than the sandbox has.
  skipWithout('survivesOutOfMemory', context);
  const sandbox = await createSandbox();
  const many =
    'import os, time\nwhile True:\n  try:\n    if os.fork() == 0: time.sleep(600)\n  except OSError: break\nprint("full", flush=True); time.sleep(600)\n';
  await sandbox.files.write('/tmp/many.py', many);
  let said = '';
  const onStdout = (text: string): void => void (said += text);
  await sandbox.commands.run('exec python3 /tmp/many.py', { background: true, timeoutMs: 0, onStdout });
  await until('the limit', () => said.includes('full'), 60_000);
  await expect(sandbox.commands.run('true', { timeoutMs: 60_000 })).rejects.toThrow('limit of processes or memory');
  expect((await sandbox.commands.run('pkill -9 python3; echo ended', { user: 'root' })).stdout).toBe('ended\n');
  await until(
    'a process of the user',
    async () =>
      await sandbox.commands.run('true').then(
        () => true,
        () => false,
      ),
  );
});

test('a fork bomb hits its limit; envd, the host and other sandboxes continue', { timeout: 300_000 }, async () => {
  const [bombed, other] = await Promise.all([createSandbox(), createSandbox()]);
  await bombed.files.write('/home/user/bomb.py', 'import os\nwhile True:\n  try: os.fork()\n  except OSError: pass\n');
  await bombed.commands.run('python3 /home/user/bomb.py', { background: true, timeoutMs: 0 });
  await sleep(2000);
  // If processes need more memory than the sandbox has, it may have ended. Other sandboxes must not be affected.
  if (server.capabilities.survivesOutOfMemory) {
    // All that it may use is used, and envd waits for its part of it: 3 to 28 s for a file, on a busy host.
    const patient = { requestTimeoutMs: 100_000 };
    expect(await bombed.isRunning(patient)).toBe(true);
    expect(await bombed.files.read('/etc/hostname', patient)).toContain(bombed.sandboxId);
  }
  expect((await other.commands.run('echo fine', { timeoutMs: 20_000 })).stdout).toBe('fine\n');
  if (server.capabilities.survivesOutOfMemory) expect(await bombed.kill()).toBe(true);
  const fresh = await createSandbox();
  expect((await fresh.commands.run('echo fresh')).stdout).toBe('fresh\n');
});

test('all sandboxes together leave the host its share of every CPU', async () => {
  const burn = 'for i in $(seq 8); do (while :; do :; done) & done; wait';
  const busy = await Promise.all(Array.from({ length: 3 }, async () => await createSandbox()));
  for (const sandbox of busy) await sandbox.commands.run(burn, { background: true, timeoutMs: 0 });
  await sleep(500);
  const used = (): number => readCpuSeconds(server.instance);
  const [before, startedAt] = [used(), performance.now()];
  await sleep(3000);
  const share = ((used() - before) * 1000) / (performance.now() - startedAt) / cpus().length;
  expect(share).toBeGreaterThan(0.5);
  expect(share).toBeLessThan(0.96);
});

test('a full disk is reported as such and is usable again afterwards', async () => {
  const sandbox = await createSandbox();
  // If the host has less free space than a whole disk, a full disk gets space again whenever others free it (decision
  // 019).
  const fill = `cd /home/user && while sleep 1; free=$(df --output=avail -B1 . | tail -1); [ "$free" -gt 131072 ]; do
    fallocate -l $((free - 65536)) fill.$((n += 1)); sync; done`;
  await sandbox.commands.run(fill, { user: 'root' });
  const megabytes = 'x'.repeat(8 * 1024 * 1024);
  await expect(sandbox.files.write('/home/user/more', megabytes)).rejects.toThrow(NotEnoughSpaceError);
  const form = sandbox.files.write('/home/user/more', megabytes, { useOctetStream: false });
  await expect(form).rejects.toThrow(NotEnoughSpaceError);
  const inside = await sandbox.commands.run('head -c 9000000 /dev/zero > /home/user/inside || echo refused');
  expect(inside.stdout).toBe('refused\n');
  await sandbox.commands.run('rm /home/user/fill.*', { user: 'root' });
  await sandbox.files.write('/home/user/more', 'fits');
  expect(await sandbox.files.read('/home/user/more')).toBe('fits');
});

test('the limits inside are those that the API reports', async () => {
  const sandbox = await createSandbox();
  const { json } = await askApi('GET', `/sandboxes/${sandbox.sandboxId}`);
  const { memoryMB, cpuCount, diskSizeMB } = json as Record<'memoryMB' | 'cpuCount' | 'diskSizeMB', number>;
  const { stdout } = await sandbox.commands.run('df -B1M --output=size / | tail -1');
  // The overhead of the file system.
  expect(Math.abs(Number(stdout) - diskSizeMB)).toBeLessThanOrEqual(diskSizeMB * 0.02);
  // The limit that the kernel of the host applies to its control group.
  const [sample] = await until('a sample', async () => {
    const samples = await sandbox.getMetrics();
    return samples.length > 0 && samples;
  });
  expect(sample).toMatchObject({ memTotal: memoryMB * 1024 * 1024, cpuCount });
  expect(Math.abs((sample?.diskTotal ?? 0) / 1024 / 1024 - diskSizeMB)).toBeLessThanOrEqual(diskSizeMB * 0.02);
});

test('root inside cannot end or stop its envd by a signal that envd does not handle', async () => {
  const sandbox = await createSandbox();
  await sandbox.commands.run('kill -KILL 1; kill -STOP 1; kill -TERM 1; true', { user: 'root' });
  await sleep(500);
  expect(await sandbox.isRunning()).toBe(true);
  expect((await sandbox.commands.run('echo alive')).stdout).toBe('alive\n');
});

test('a sandbox whose root ends envd with a signal that envd handles ends for its owner, too', async ({ skip }) => {
  if (server.capabilities.ownKernel) skip('gVisor lets nobody inside signal init');
  const sandbox = await createSandbox();
  await sandbox.commands.run('kill -ABRT 1; sleep 5', { user: 'root', timeoutMs: 3000 }).catch(() => undefined);
  await until('the end', async () => (await askApi('GET', `/sandboxes/${sandbox.sandboxId}`)).status === 404);
  expect(await Sandbox.kill(sandbox.sandboxId)).toBe(false);
});

test('a sandbox whose envd is killed on the host ends, and its owner gets the cause', async ({ skip }) => {
  if (server.capabilities.ownKernel) skip('processes inside gVisor cannot be killed one by one from the host');
  const sandbox = await createSandbox();
  process.kill(findEnvd(sandbox.sandboxId), 'SIGKILL');
  const answer = await until('its end', async () => {
    const { status, json } = await askApi('GET', `/sandboxes/${sandbox.sandboxId}`);
    return status === 404 && json;
  });
  expect(JSON.stringify(answer)).toContain('failed');
  expect(await Sandbox.kill(sandbox.sandboxId)).toBe(false);
});

test('a sandbox that loses the process that opens its files ends, and its owner gets the cause', async (context) => {
  skipWithout('ownKernel', context);
  const sandbox = await createSandbox();
  const runsc = JSON.parse(await readFile(stateFileOf(sandbox.sandboxId), 'utf8')) as { goferPid: number };
  process.kill(runsc.goferPid, 'SIGKILL');
  const answer = await until('its end', async () => {
    const { status, json } = await askApi('GET', `/sandboxes/${sandbox.sandboxId}`);
    return status === 404 && json;
  });
  expect(JSON.stringify(answer)).toContain('failed');
});

/** The process of runsc that opens files. Only gVisor has it. */
function stateFileOf(sandboxId: string): string {
  return `/run/soulbox-${String(server.instance)}/runsc/${sandboxId}_sandbox:${sandboxId}.state`;
}
