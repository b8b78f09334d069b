/** @module-tag violation */
// Half-made and damaged states that only occur with this driver.
import { readFile, rm, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { SoulBoxError } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { hostTraces } from '../conformance/host-traces.ts';
import type { SandboxSpec } from '../driver.ts';
import { openPreparedBench } from '../conformance/prepared-bench.ts';
import type { TestSandbox } from '../conformance/test-sandbox.ts';
import { createContainerDriver } from './driver.ts';
import { openCgroups } from '../cgroup/open-cgroups.ts';
import { endHostTools, toolsOf } from '../host/host-tool.ts';
import { layoutOf } from './layout.ts';
import { runtimeRoot } from './runtime-state.ts';
import { testInstance } from './testing/test-instance.ts';

const driver = createContainerDriver({ logger: silentLogger, instance: testInstance });
const bench = await openPreparedBench({ driver, instanceNumber: testInstance, firstNumber: 500 });

const expectGone = async (spec: SandboxSpec): Promise<void> => {
  expect(await hostTraces(spec)).toEqual([]);
  expect(await driver.listTraces()).not.toContain(spec.sandboxId);
};

test('a tool killed at any moment fails the start and leaves nothing', async () => {
  let failed = 0;
  // The moment at which a tool runs differs by machine: moments between the previous ones are tried until enough tools
  // were hit.
  const moments = [0, 1, 2].flatMap((offset) => Array.from({ length: 20 }, (_, step) => offset + step * 3));
  for (const [index, delayMs] of moments.entries()) {
    if (index >= 20 && failed > 3) break;
    const spec = await bench.createSpec();
    const starting = driver.start(spec).then(
      () => 'started',
      (error: unknown) => error,
    );
    await sleep(delayMs);
    await endHostTools(toolsOf({ instance: testInstance, cgroups: openCgroups() }, spec.sandboxId));
    const outcome = await starting;
    if (outcome !== 'started') failed++;
    if (outcome !== 'started') await expectGone(spec);
    await driver.destroy(spec.sandboxId, spec.directory);
    await expectGone(spec);
  }
  expect(failed).toBeGreaterThan(3);
}, 120_000);

test('a destroy during a start ends the start first', async () => {
  for (let delayMs = 0; delayMs < 60; delayMs += 6) {
    const spec = await bench.createSpec();
    const starting = driver.start(spec).then(
      () => 'started',
      (error: unknown) => (error as SoulBoxError).message,
    );
    await sleep(delayMs);
    await driver.destroy(spec.sandboxId, spec.directory);
    await expectGone(spec);
    expect(['started', 'The sandbox was removed while it was starting.']).toContain(await starting);
  }
}, 120_000);

const damages: Record<string, (sandbox: TestSandbox) => Promise<void>> = {
  'its record is lost': ({ spec }) => unlink(layoutOf(testInstance, spec.sandboxId, spec.directory).record),
  'its record is cut': ({ spec }) => writeFile(join(spec.directory, 'container.json'), '{"state":"runn'),
  'its disk origin is lost': ({ spec }) => unlink(join(spec.directory, 'disk-origin')),
  'crun has lost its state': ({ spec }) => rm(join(runtimeRoot(testInstance), spec.sandboxId), { recursive: true }),
  'its whole folder is lost': ({ spec }) => rm(spec.directory, { recursive: true }),
  'its init was killed': async ({ instance }) => {
    process.kill(instance.initPid, 'SIGKILL');
    await sleep(20);
  },
};

test.each(Object.entries(damages))('destroy leaves nothing when %s', async (_, damage) => {
  const sandbox = await bench.start();
  await damage(sandbox);
  await driver.destroy(sandbox.spec.sandboxId, sandbox.spec.directory);
  await expectGone(sandbox.spec);
});

test('a record that names an unrelated process is not trusted', async () => {
  const sandbox = await bench.start();
  const { sandboxId, directory } = sandbox.spec;
  const path = layoutOf(testInstance, sandboxId, directory).record;
  const record = JSON.parse(await readFile(path, 'utf8')) as object;
  for (const change of [{ initPid: process.pid }, { initStartTicks: 1 }, { bootId: 'another' }]) {
    await writeFile(path, JSON.stringify({ ...record, ...change }));
    expect(await driver.adopt(sandboxId, directory)).toBeUndefined();
  }
  await driver.destroy(sandboxId, directory);
  await expectGone(sandbox.spec);
});

test('the host has no mount of a running sandbox', async () => {
  const sandbox = await bench.start();
  const table = await readFile('/proc/self/mountinfo', 'utf8');
  expect(table).not.toContain(sandbox.spec.sandboxId);
});
