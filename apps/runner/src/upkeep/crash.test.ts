/** @module-tag violation */
/** @module-tag long */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeTree } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { openTemplateStore } from '@soulbox/templates';
import { listHostTraces, startRunnerProcess, testDirectory, testTemplatesDirectory } from '@soulbox/testing';
import type { RunnerProcess } from '@soulbox/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readStoredRecord } from '../testing/stored-record.ts';

const instance = 13;
let directory: string;
let runner: RunnerProcess;
let templateId: string;

interface Shown {
  readonly sandboxId: string;
  readonly state: 'SANDBOX_STATE_RUNNING' | 'SANDBOX_STATE_PAUSED';
}

beforeAll(async () => {
  await mkdir(testDirectory, { recursive: true, mode: 0o700 });
  directory = await mkdtemp(join(testDirectory, 'crash-'));
  templateId = (await openTemplateStore(testTemplatesDirectory, silentLogger).find('base'))?.templateId ?? '';
  runner = await startRunnerProcess(instance, directory);
});

afterAll(async () => {
  for (const { sandboxId } of await list()) await runner.call('killSandbox', { sandboxId });
  await runner.stop();
  await removeTree(directory);
});

async function list(): Promise<Shown[]> {
  return ((await runner.call('listSandboxes', {}))['sandboxes'] ?? []) as Shown[];
}

async function create(disk: 'small' | 'large' = 'small'): Promise<string> {
  const request = { teamId: 't', templateId, timeoutSeconds: 600, secure: false };
  const { sandboxId } = (await runner.call('createSandbox', request))['sandbox'] as Shown;
  if (disk === 'large') await runner.call('fill', { sandboxId });
  return sandboxId;
}

/** Kills the runner this long after it began a step, and starts another one. Gives the result of the step's call. */
async function crashDuring(method: string, request: object, afterMs: number): Promise<'done' | 'cut off'> {
  const outcome = runner.call(method, request).then(
    () => 'done' as const,
    () => 'cut off' as const,
  );
  await sleep(afterMs);
  await runner.kill();
  runner = await startRunnerProcess(instance, directory);
  return await outcome;
}

/** Kills the runner when the record of a sandbox names a new disk, and files of that disk exist. */
async function killWithNewDisk(sandboxId: string): Promise<void> {
  const folder = join(directory, 'sandboxes', sandboxId);
  const hasNewDisk = async (): Promise<boolean> => {
    const { disk } = await readStoredRecord(directory, sandboxId);
    return disk === 'new' && (await readdir(folder).catch(() => [])).some((name) => name.endsWith('.img'));
  };
  while (!(await hasNewDisk())) await sleep(1);
  await runner.kill();
}

/** Checks that there is exactly one sandbox, and that it can be used. */
async function expectAlive(sandboxId: string): Promise<Shown['state']> {
  const sandboxes = await list();
  expect(sandboxes.map((sandbox) => sandbox.sandboxId)).toContain(sandboxId);
  const [{ state }] = sandboxes.filter((sandbox) => sandbox.sandboxId === sandboxId) as [Shown];
  await runner.call('resumeSandbox', { sandboxId, timeoutSeconds: 600, withMemory: true });
  expect(await runner.call('ask', { sandboxId })).toBe(true);
  return state;
}

async function expectNothingLeft(): Promise<void> {
  for (const { sandboxId } of await list()) await runner.call('killSandbox', { sandboxId });
  await sleep(500);
  const ofSandboxes = (await listHostTraces(instance, directory)).filter((line) => !line.startsWith('nft table'));
  expect(ofSandboxes).toEqual([]);
  expect(await readdir(join(directory, 'sandboxes'))).toEqual([]);
  expect(await readdir(join(directory, 'states'))).toEqual([]);
  expect(await readdir(join(directory, 'layers'))).toEqual([]);
}

describe('a runner that is killed', () => {
  it.each([0, 45, 140])('%i ms into a pause leaves its sandbox running or paused', async (afterMs) => {
    const sandboxId = await create();
    const told = await crashDuring('pauseSandbox', { sandboxId, keepMemory: true }, afterMs);
    const state = await expectAlive(sandboxId);
    if (told === 'done') expect(state).toBe('SANDBOX_STATE_PAUSED');
    await expectNothingLeft();
  });

  it.each([0, 50, 110])('%i ms into a resume leaves its sandbox running or paused', async (afterMs) => {
    const sandboxId = await create();
    await runner.call('pauseSandbox', { sandboxId, keepMemory: true });
    const request = { sandboxId, timeoutSeconds: 600, withMemory: true };
    const told = await crashDuring('resumeSandbox', request, afterMs);
    const state = await expectAlive(sandboxId);
    if (told === 'done') expect(state).toBe('SANDBOX_STATE_RUNNING');
    await expectNothingLeft();
  });

  const momentsOfSnapshots = [
    ...[70, 160].map((ms) => [ms, 'small'] as const),
    ...[0, 110, 300].map((ms) => [ms, 'large'] as const),
  ];
  it.each(momentsOfSnapshots)(
    '%i ms into a snapshot leaves its source with a %s disk usable',
    async (afterMs, disk) => {
      const sandboxId = await create(disk);
      const told = await crashDuring('makeSnapshot', { sandboxId, snapshotId: 's1' }, afterMs);
      await expectAlive(sandboxId);
      const { existed } = await runner.call('deleteSnapshot', { snapshotId: 's1' });
      if (told === 'done') expect(existed).toBe(true);
      await expectNothingLeft();
    },
  );

  it('while the source of a snapshot gets its new disk runs the source again after its next start', async () => {
    const sandboxId = await create('large');
    const told = runner.call('makeSnapshot', { sandboxId, snapshotId: 's1' }).catch(() => undefined);
    await killWithNewDisk(sandboxId);
    await told;
    runner = await startRunnerProcess(instance, directory);
    expect(await expectAlive(sandboxId)).toBe('SANDBOX_STATE_RUNNING');
    await runner.call('deleteSnapshot', { snapshotId: 's1' });
    await expectNothingLeft();
  });

  const momentsOfForks = [
    ...[50, 250].map((ms) => [ms, 'small'] as const),
    ...[150, 350].map((ms) => [ms, 'large'] as const),
  ];
  it.each(momentsOfForks)(
    '%i ms into a fork leaves its source with a %s disk, and all copies or none',
    async (afterMs, disk) => {
      const sandboxId = await create(disk);
      await crashDuring('forkSandbox', { source: { case: 'sandboxId', value: sandboxId }, count: 3 }, afterMs);
      for (const copy of await list()) await expectAlive(copy.sandboxId);
      await expectAlive(sandboxId);
      await expectNothingLeft();
    },
  );

  it(
    'while another program holds the disk of a paused sandbox does not lose the sandbox',
    { timeout: 60_000 },
    async () => {
      const sandboxId = await create();
      const text = await readFile(join(directory, 'sandboxes', sandboxId, 'container.json'), 'utf8');
      const { initPid } = JSON.parse(text) as { initPid: number };
      const holder = spawn('nsenter', [`--mount=/proc/${initPid}/ns/mnt`, 'sleep', '1000'], { stdio: 'ignore' });
      const readState = async (): Promise<string> => (await readStoredRecord(directory, sandboxId)).state;
      try {
        await once(holder, 'spawn');
        await sleep(200);
        await runner.call('pauseSandbox', { sandboxId, keepMemory: true });
        expect(await readState()).toBe('pausing');
        await runner.kill();
        runner = await startRunnerProcess(instance, directory);
        expect(await readState()).toBe('pausing');
        const resume = runner.call('resumeSandbox', { sandboxId, timeoutSeconds: 600, withMemory: true });
        await expect(resume).rejects.toThrow('is still being paused. Retry');
      } finally {
        holder.kill('SIGKILL');
        await once(holder, 'exit');
      }
      expect(await expectAlive(sandboxId)).toBe('SANDBOX_STATE_PAUSED');
      await expectNothingLeft();
    },
  );

  it('during a pause in the background completes that pause after its next start', async () => {
    const sandboxId = await create();
    await runner.call('pauseSandbox', { sandboxId, keepMemory: true, durability: 'in-background' });
    await runner.kill();
    runner = await startRunnerProcess(instance, directory);
    expect(await expectAlive(sandboxId)).toBe('SANDBOX_STATE_PAUSED');
    await expectNothingLeft();
  });
});

/** Host pids of the processes in its control group. */
async function processesOf(sandboxId: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const groups = await Promise.all(
    pids.map(async (pid) => [Number(pid), await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '')] as const),
  );
  return groups.filter(([, text]) => text.includes(`/soulbox-${instance}/${sandboxId}`)).map(([pid]) => pid);
}

describe('a sandbox that is frozen after a pause in the background', () => {
  it.each(['container', 'gvisor'])(
    'is restored from its checkpoint when its processes were killed (%s)',
    async (isolation) => {
      const request = { teamId: 't', templateId, timeoutSeconds: 600, secure: false, isolation };
      const { sandboxId } = (await runner.call('createSandbox', request))['sandbox'] as Shown;
      const shell = async (command: string): Promise<unknown> =>
        (await runner.call('shell', { sandboxId, command }))['output'];
      await shell('setsid sleep 4321 > /dev/null 2>&1 & echo');
      // The shell ends before its child has become this program.
      await expect.poll(async () => await shell('pgrep -fc "^sleep 4321"')).toBe('1\n');
      await runner.call('pauseSandbox', { sandboxId, keepMemory: true, durability: 'in-background' });
      const isSaved = async (): Promise<boolean> =>
        (await readdir(join(directory, 'states'))).some((name) => !name.includes('.'));
      for (let tries = 0; tries < 100 && !(await isSaved()); tries++) await sleep(50);
      for (const pid of await processesOf(sandboxId)) process.kill(pid, 'SIGKILL');
      // A gVisor kernel that dies during the thaw may have run, which cannot be excluded. A container stays frozen.
      if (isolation === 'gvisor') await expect.poll(async () => await processesOf(sandboxId)).toEqual([]);
      await runner.call('resumeSandbox', { sandboxId, timeoutSeconds: 600, withMemory: true });
      expect(await shell('pgrep -fc "^sleep 4321"')).toBe('1\n');
      await expectNothingLeft();
    },
  );
});
