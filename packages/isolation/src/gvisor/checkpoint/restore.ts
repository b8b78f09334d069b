import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CommandError, SoulBoxError } from '@soulbox/base';
import type { SandboxInstance, SandboxSpec, SavedMemory } from '../../driver.ts';
import type { Host } from '../host.ts';
import { layoutOf } from '../layout.ts';
import { launch } from '../start.ts';
import { refuseOtherVolumes } from '../volumes/saved-volumes.ts';
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
  await refuseOtherVolumes(memory.directory, spec.volumes);
  // In memory: gVisor's objects contain data of programs, such as what waits in pipes.
  const ownImage = join(memory.scratch, spec.sandboxId);
  try {
    await makeOwnImage(ownImage, memory.directory, spec.hostname);
    return await launch(host, spec, signal, spec.generation, ['restore', '-detach', '-image-path', ownImage]);
  } catch (error) {
    if (!lacksFile(error)) throw error;
    // runsc cannot tell this from a failure after which programs have run.
    await rm(layoutOf(host.instance, spec.sandboxId, spec.directory).ranMark, { force: true });
    throw new SoulBoxError('sandbox_resume_failed', lackingFile, { cause: error });
  } finally {
    await rm(ownImage, { recursive: true, force: true });
  }
}

const lackingFile =
  'A program has a file or folder of a volume open that others have removed or renamed. Put it back, or resume the sandbox without its memory.';

/** Before anything runs, gVisor opens by their paths the files that programs have open. Those of the disk are all there. */
function lacksFile(error: unknown): boolean {
  const words = error instanceof CommandError ? error.stderr : '';
  return /restoring container \\?"[a-z0-9]+\\?": (?:no such file or|not a) directory/.test(words);
}
