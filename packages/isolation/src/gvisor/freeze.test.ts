// Situations that only this driver can get into: a program of the runtime stops and continues its sandboxes, and can be
// killed meanwhile.
import { spawnSync } from 'node:child_process';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test, vi } from 'vitest';
import { CommandError } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { openPreparedBench } from '../conformance/prepared-bench.ts';
import { createGvisorDriver } from './driver.ts';
import { areAllStopped, isKernelStopped } from './kernel-stopped.ts';
import { runtimeRoot } from './runtime-state.ts';
import { mendRuntimeState, readRuntimeState } from './runtime-state.ts';
import { testInstance } from './testing/test-instance.ts';

/**
 * Commands of runsc that are always killed: these before they do anything, `killedLate` after they have done
 * everything.
 */
const killed = new Set<string>();
const killedLate = new Set<string>();
/** Commands of runsc that were started. */
const begun: string[] = [];
vi.mock('./runsc.ts', async (original) => {
  const { runRunsc, ...others } = await original<typeof import('./runsc.ts')>();
  return {
    ...others,
    runRunsc: async (...call: Parameters<typeof runRunsc>) => {
      const [, , args] = call;
      const [command = ''] = args;
      begun.push(command);
      if (!killed.has(command)) await runRunsc(...call);
      if (killed.has(command) || killedLate.has(command))
        throw new CommandError(['runsc', ...args], undefined, '', 'killed');
    },
  };
});
/** How many of the next questions to a kernel get no answer, because the asking runsc is killed. */
let unanswered = 0;
vi.mock('./kernel-stopped.ts', async (original) => {
  const { isKernelStopped, ...others } = await original<typeof import('./kernel-stopped.ts')>();
  return {
    ...others,
    isKernelStopped: async (...call: Parameters<typeof isKernelStopped>) =>
      unanswered-- > 0 ? undefined : await isKernelStopped(...call),
  };
});
afterEach(() => {
  killed.clear();
  killedLate.clear();
  unanswered = 0;
});

const driver = createGvisorDriver({ logger: silentLogger, instance: testInstance });
const bench = await openPreparedBench({ driver, instanceNumber: testInstance, firstNumber: 500 });

const kill = (command: string, sandboxId: string): void =>
  void spawnSync('pkill', ['-9', '-f', `${command} ${sandboxId}$`]);

test('a runsc killed during a thaw does not leave the sandbox frozen', async () => {
  await using sandbox = await bench.start();
  for (let delayMs = 0; delayMs < 60; delayMs += 4) {
    await driver.freeze(sandbox.instance);
    const thawing = driver.thaw(sandbox.instance);
    await sleep(delayMs);
    kill('resume', sandbox.spec.sandboxId);
    await thawing;
    expect((await sandbox.sh('echo on')).stdout).toBe('on\n');
  }
}, 120_000);

test('a runsc killed during a freeze has either frozen the sandbox or not, and it can be thawed', async () => {
  await using sandbox = await bench.start();
  for (let delayMs = 0; delayMs < 60; delayMs += 4) {
    const freezing = driver.freeze(sandbox.instance).then(
      () => 'stopped',
      (error: unknown) => (error as { reason?: string }).reason,
    );
    await sleep(delayMs);
    kill('pause', sandbox.spec.sandboxId);
    const outcome = await freezing;
    expect(['stopped', 'checkpoint_failed']).toContain(outcome);
    expect(await isKernelStopped(testInstance, sandbox.spec.sandboxId)).toBe(outcome === 'stopped');
    await driver.thaw(sandbox.instance);
    expect((await sandbox.sh('echo on')).stdout).toBe('on\n');
  }
}, 120_000);

test("a wrong state file is corrected by the kernel's answer", async () => {
  await using sandbox = await bench.start();
  const { sandboxId } = sandbox.spec;
  const running = readRuntimeState(testInstance, sandboxId);
  await driver.freeze(sandbox.instance);
  // The form that a `pause` leaves if it is killed after the kernel has stopped.
  await mendRuntimeState(testInstance, sandboxId, running, false);
  await driver.thaw(sandbox.instance);
  expect((await sandbox.sh('echo on')).stdout).toBe('on\n');
  expect(readRuntimeState(testInstance, sandboxId)).toMatchObject({ isPaused: false, goferPid: running.goferPid });
});

test('a state file that a killed runsc left empty is restored', async () => {
  await using sandbox = await bench.start();
  const { sandboxId } = sandbox.spec;
  const before = readRuntimeState(testInstance, sandboxId);
  const [name = ''] = (await readdir(runtimeRoot(testInstance))).filter(
    (file) => file.includes(sandboxId) && file.endsWith('.state'),
  );
  await writeFile(join(runtimeRoot(testInstance), name), '');
  await mendRuntimeState(testInstance, sandboxId, before);
  expect(readRuntimeState(testInstance, sandboxId)).toEqual(before);
});

test('stopped tasks are recognized by the functions of their goroutines', () => {
  const task = (stopped: boolean): string =>
    `goroutine 1\n${stopped ? 'gvisor.dev/gvisor/pkg/sentry/kernel.(*Task).doStop(0x1)\n' : ''}gvisor.dev/gvisor/pkg/sentry/kernel.(*Task).run(0x1)\n`;
  expect(areAllStopped(task(true) + task(true))).toBe(true);
  expect(areAllStopped(task(true) + task(false))).toBe(false);
  expect(areAllStopped('goroutine 1\n')).toBeUndefined();
});

test('a sandbox that cannot be thawed is ended, not left frozen', async () => {
  await using sandbox = await bench.start();
  await driver.freeze(sandbox.instance);
  killed.add('resume');
  // None of its processes has run: the kernel answered each time that it is stopped.
  await expect(driver.thaw(sandbox.instance)).rejects.toMatchObject({ reason: 'sandbox_resume_failed' });
  await expect.poll(() => driver.isAlive(sandbox.instance)).toBe(false);
}, 120_000);

test('a sandbox that ended while it was frozen has not run', async () => {
  await using sandbox = await bench.start();
  await driver.freeze(sandbox.instance);
  process.kill(sandbox.instance.initPid, 'SIGKILL');
  await expect.poll(() => driver.isAlive(sandbox.instance)).toBe(false);
  await expect(driver.thaw(sandbox.instance)).rejects.toMatchObject({ reason: 'sandbox_resume_failed' });
}, 120_000);

test('a kernel that does not answer is asked again, not thawed a second time', async () => {
  await using sandbox = await bench.start();
  await driver.freeze(sandbox.instance);
  killedLate.add('resume');
  unanswered = 2;
  begun.length = 0;
  await driver.thaw(sandbox.instance);
  expect(begun).toEqual(['resume']);
  expect((await sandbox.sh('echo on')).stdout).toBe('on\n');
}, 120_000);

test('a sandbox whose kernel never answers is ended, and may have run', async () => {
  await using sandbox = await bench.start();
  await driver.freeze(sandbox.instance);
  killedLate.add('resume');
  unanswered = Infinity;
  begun.length = 0;
  await expect(driver.thaw(sandbox.instance)).rejects.toThrow(CommandError);
  expect(begun).toEqual(['resume']);
  await expect.poll(() => driver.isAlive(sandbox.instance)).toBe(false);
}, 120_000);

test('a sandbox that cannot be frozen continues, and the caller gets an error', async () => {
  await using sandbox = await bench.start();
  killed.add('pause');
  await expect(driver.freeze(sandbox.instance)).rejects.toMatchObject({ reason: 'checkpoint_failed' });
  expect((await sandbox.sh('echo on')).stdout).toBe('on\n');
}, 120_000);
