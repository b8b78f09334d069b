/** @module-tag violation */
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { holdMounts } from '../testing/hold-mounts.ts';
import { whyNoMounts } from '../testing/start-memory.ts';
import { superviseMounts, type SupervisedMounts, type SupervisorEvent } from './supervise-mounts.ts';

const testing = join(import.meta.dirname, '../testing');
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fuse-takeover-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

interface Supervised {
  readonly supervisor: SupervisedMounts;
  readonly mountPoint: string;
  readonly events: readonly SupervisorEvent[];
}

async function startSupervised(killRate: number, options: { startTimeoutMs?: number } = {}): Promise<Supervised> {
  const mountPoint = await mkdtemp(join(folder, 'mount-'));
  const events: SupervisorEvent[] = [];
  const supervisor = await superviseMounts({
    mounts: [{ mountPoint }],
    program: join(testing, 'journal-server.ts'),
    args: [join(folder, 'journal'), String(killRate)],
    onEvent: (event) => void events.push(event),
    ...options,
  });
  return { supervisor, mountPoint, events };
}

const takeovers = (events: readonly SupervisorEvent[]): number =>
  events.filter((event) => event.type === 'serving' && event.isTakeover).length;

/** Runs the load while `kill` lasts, and expects that it saw nothing. */
async function runLoad(mountPoint: string, kill: () => Promise<void>): Promise<{ calls: number; longestMs: number }> {
  const child = spawn('/usr/bin/python3', [join(testing, 'takeover_load.py'), mountPoint], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  while (!output.includes('started') && child.exitCode === null) await sleep(5);
  await kill();
  child.stdin.end();
  const status = await ended;
  expect(errors).toBe('');
  expect(status).toBe(0);
  return JSON.parse(output.replace('started\n', '')) as { calls: number; longestMs: number };
}

describe.skipIf(whyNoMounts !== undefined)(`a supervised mount${whyNoMounts ? ` (${whyNoMounts})` : ''}`, () => {
  test.each([
    ['is killed', 'SIGKILL'],
    ['stops', 'SIGTERM'],
  ] as const)('goes on when its server %s at any time', async (_how, signal) => {
    const { supervisor, mountPoint, events } = await startSupervised(0);
    await using _ = supervisor;
    const result = await runLoad(mountPoint, async () => {
      for (let kills = 0; kills < 2;) {
        await sleep(20 + Math.random() * 80);
        const pid = supervisor.serverPid();
        if (pid === undefined) continue;
        process.kill(pid, signal);
        kills += 1;
        while (takeovers(events) < kills) await sleep(2);
      }
    });
    expect(result.calls).toBeGreaterThan(20);
    await supervisor.unmount();
    expect(events.filter(({ type }) => type === 'gave-up')).toEqual([]);
    const statuses = events.filter((event) => event.type === 'ended').map(({ status }) => status);
    expect(statuses.slice(0, 2)).toEqual(signal === 'SIGKILL' ? [signal, signal] : [0, 0]);
  });

  test('does nothing twice when its server dies between the journal and the answer', async () => {
    const { supervisor, mountPoint, events } = await startSupervised(0.02);
    await using _ = supervisor;
    await runLoad(mountPoint, async () => {
      while (takeovers(events) < 3) await sleep(5);
    });
    await supervisor.unmount();
  });

  test('ends by an abort in every mount namespace, also after its unmount here', async () => {
    const { supervisor, mountPoint } = await startSupervised(0);
    await using _ = supervisor;
    await using holder = await holdMounts();
    await promisify(execFile)('umount', ['-i', '-c', mountPoint]);
    await supervisor.abort();
    expect(await holder.read(join(mountPoint, 'file'))).toMatch(/not connected/);
  });

  test.each([
    ['is killed', 'SIGKILL'],
    ['hangs', 'SIGSTOP'],
  ] as const)('ends by an abort also if its server %s', async (_how, signal) => {
    const { supervisor, mountPoint } = await startSupervised(0, { startTimeoutMs: 3000 });
    await using holder = await holdMounts();
    process.kill(supervisor.serverPid() ?? 0, signal);
    await supervisor.abort();
    expect(await holder.read(join(mountPoint, 'file'))).toMatch(/not connected/);
    expect(supervisor.serverPid()).toBeUndefined();
  });

  test('is taken away when no server can serve it', async () => {
    const mountPoint = await mkdtemp(join(folder, 'mount-'));
    const events: SupervisorEvent[] = [];
    const starts = superviseMounts({
      mounts: [{ mountPoint }],
      program: join(testing, 'ending-server.ts'),
      maxFailures: 2,
      onEvent: (event) => void events.push(event),
    });
    await expect(starts).rejects.toThrow('2 servers in a row ended before they served.');
    expect(events.map(({ type }) => type)).toEqual(['ended', 'ended', 'gave-up']);
    const { stdout } = await promisify(execFile)('mount');
    expect(stdout).not.toContain(mountPoint);
  });
});
