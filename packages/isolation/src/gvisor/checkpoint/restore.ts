import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { SandboxInstance, SandboxSpec, SavedMemory } from '../../driver.ts';
import type { Host } from '../host.ts';
import { launch } from '../start.ts';
import { makeOwnImage } from './own-image.ts';

/**
 * Restores what `checkpointSandbox` saved into `memory`. `destroySandbox` removes the leftovers of a failed or
 * interrupted step.
 */
export async function restoreSandbox(
  host: Host,
  spec: SandboxSpec,
  memory: SavedMemory,
  signal: AbortSignal,
): Promise<SandboxInstance> {
  // In memory: gVisor's objects contain data of programs, such as what waits in pipes.
  const ownImage = join(memory.scratch, spec.sandboxId);
  try {
    await makeOwnImage(ownImage, memory.directory, spec.hostname);
    return await launch(host, spec, signal, spec.generation, ['restore', '-detach', '-image-path', ownImage]);
  } finally {
    await rm(ownImage, { recursive: true, force: true });
  }
}
