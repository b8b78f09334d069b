// What only this driver can get into: a program of the runtime stops and starts its sandboxes, and can be killed at it.
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { silentLogger, sleep } from '@soulbox/base';
import { openPreparedBench } from '../contract/prepared-bench.ts';
import { createGvisorDriver } from './driver.ts';
import { testInstance } from './test-instance.ts';

const driver = createGvisorDriver({ logger: silentLogger, instance: testInstance });
const bench = await openPreparedBench({ driver, instanceNumber: testInstance, firstNumber: 500 });

const killResume = (sandboxId: string): void => void spawnSync('pkill', ['-9', '-f', `resume ${sandboxId}$`]);

test('a runsc that is killed while it lets a sandbox go on does not leave it stopped', async () => {
  await using sandbox = await bench.start();
  for (let delayMs = 0; delayMs < 60; delayMs += 4) {
    await driver.freeze(sandbox.instance);
    const thawing = driver.thaw(sandbox.instance);
    await sleep(delayMs);
    killResume(sandbox.spec.sandboxId);
    await thawing;
    expect((await sandbox.sh('echo on')).stdout).toBe('on\n');
  }
}, 120_000);

test('one that cannot go on is ended, not left standing', async () => {
  await using sandbox = await bench.start();
  await driver.freeze(sandbox.instance);
  const outcome = driver.thaw(sandbox.instance).then(
    () => 'thawed',
    () => 'given up',
  );
  for (let isOver = false; !isOver;) {
    killResume(sandbox.spec.sandboxId);
    isOver = await Promise.race([outcome.then(() => true), sleep(1).then(() => false)]);
  }
  if ((await outcome) === 'thawed') expect((await sandbox.sh('echo on')).stdout).toBe('on\n');
  else await expect.poll(() => driver.isAlive(sandbox.instance)).toBe(false);
}, 120_000);
