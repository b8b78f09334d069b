import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomId, run } from '@soulbox/base';
import type { SandboxInstance, SavedMemory } from '../driver.ts';
import { scratchOf, sealedLateMemory } from './late-memory.ts';
import type { TestBench, TestSandbox } from './test-sandbox.ts';

/** Each takes 10 ms or more. */
const quietTries = 50;

/** A saved memory whose parts are all verified. */
export function savedMemory(directory: string): SavedMemory {
  return { directory, scratch: scratchOf(directory), digests: { blockBytes: 4 * 2 ** 20, parts: {} } };
}

/** Freezes the sandbox and saves it into a folder, by default a new one; it stays frozen. */
export async function stopAndSave(bench: TestBench, instance: SandboxInstance, into?: string): Promise<SavedMemory> {
  const directory = into ?? (await bench.makeFolder());
  await waitForQuiet(instance);
  await bench.driver.freeze(instance);
  await resetConnections(instance);
  await bench.driver.checkpoint(instance, directory);
  return bench.lateMemory ? await sealedLateMemory(directory) : savedMemory(directory);
}

/**
 * Waits until the program inside has closed the connections of the test: a copy has another address and could not keep
 * them.
 */
async function waitForQuiet({ networkNamespace }: SandboxInstance): Promise<void> {
  const list = ['ss', '-Htn', 'not ( dst 127.0.0.0/8 or dst [::1] )'];
  for (let tries = 0; tries < quietTries; tries++) {
    if ((await run('nsenter', [`--net=${networkNamespace}`, ...list])).trim() === '') return;
    await sleep(10);
  }
}

/**
 * Resets connections to the outside, like the runner: even a half-closed one cannot be restored under another address.
 */
async function resetConnections({ networkNamespace }: SandboxInstance): Promise<void> {
  await run('nsenter', [`--net=${networkNamespace}`, 'ss', '-HKtn', 'not ( dst 127.0.0.0/8 or dst [::1] )']);
}

/** Saves the sandbox, ends it, and restores it on its own disk after `pauseMs`. */
export async function pause(bench: TestBench, { spec, instance }: TestSandbox, pauseMs: number): Promise<TestSandbox> {
  const memory = await stopAndSave(bench, instance);
  await bench.driver.suspend(spec.sandboxId, spec.directory);
  await sleep(pauseMs);
  const restored = await bench.restore(memory, { ...spec, disk: 'kept', generation: randomId(20) });
  // Late memory is still read from there.
  if (!bench.lateMemory) await rm(memory.directory, { recursive: true });
  return restored;
}

/** Saves the sandbox, ends it, and turns its disk into a layer. */
export async function freezeInto(
  bench: TestBench,
  { spec, instance }: TestSandbox,
): Promise<{ memory: SavedMemory; layer: string }> {
  const memory = await stopAndSave(bench, instance);
  await bench.driver.suspend(spec.sandboxId, spec.directory);
  const layer = `${await bench.makeFolder()}/layer.img`;
  await bench.driver.takeDisk(spec.sandboxId, spec.directory, layer);
  return { memory, layer };
}
