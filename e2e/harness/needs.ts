import type { DriverCapabilities } from '@soulbox/isolation';
import { beforeEach } from 'vitest';
import type { TestContext } from 'vitest';
import { server } from './server.ts';

/** Why a test is skipped if the driver of its sandboxes lacks a capability. The drivers declare their capabilities. */
const reasons = {
  ownKernel: "has no kernel of the sandbox's own",
  setuid: 'has no setuid programs',
  survivesOutOfMemory: 'ends a sandbox that runs out of memory',
  sharedMemoryOnDisk: 'keeps shared memory in memory',
  hidesEnvironments: 'shows the environment of every process',
  fileAttributes: 'has files without attributes',
  checkpoint: 'cannot save memory',
  handshakes: 'may lose a connection that is being opened during a pause',
  deletedFiles: 'cannot save a sandbox in which a deleted file is open',
  restoredTerminal: 'does not open /dev/tty anew after a restore',
  lazyRestore: 'reads all memory before it answers',
  volumes: 'cannot mount volumes',
  sharedVolumeLocks: 'keeps locks and appends on volumes to one sandbox',
} satisfies Record<keyof DriverCapabilities, string>;

/** Skips all tests of a file, or of the enclosing `describe`. */
export function needs(capability: keyof DriverCapabilities): void {
  beforeEach((context) => skipWithout(capability, context));
}

/** The reporter shows no reasons, so each one is printed once per file. */
const printed = new Set<keyof DriverCapabilities>();

/** Skips one test. Call it first. */
export function skipWithout(capability: keyof DriverCapabilities, { skip, task }: TestContext): void {
  if (server.capabilities[capability]) return;
  const reason = `the isolation "${server.isolation}" ${reasons[capability]}`;
  if (!printed.has(capability)) console.log(`${task.file.name}: skipped what needs more, ${reason}`);
  printed.add(capability);
  skip(reason);
}
