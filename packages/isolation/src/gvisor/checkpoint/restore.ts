import type { SandboxInstance, SandboxSpec } from '../../driver.ts';
import type { Host } from '../host.ts';
import { layoutOf } from '../layout.ts';
import { launch } from '../start.ts';
import { makeOwnImage } from './own-image.ts';

/**
 * Restores what `checkpointSandbox` saved into `memory`. `destroySandbox` removes the leftovers of a failed or
 * interrupted step.
 */
export async function restoreSandbox(
  host: Host,
  spec: SandboxSpec,
  memory: string,
  signal: AbortSignal,
): Promise<SandboxInstance> {
  const { ownImage } = layoutOf(host.instance, spec.sandboxId, spec.directory);
  await makeOwnImage(ownImage, memory, spec.hostname);
  return await launch(host, spec, signal, spec.generation, ['restore', '-detach', '-image-path', ownImage]);
}
