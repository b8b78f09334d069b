import type { SandboxInstance } from '../driver.ts';
import { refuseDoomed } from '../host/init-process.ts';
import { cgroupOf } from '../host/names.ts';
import { outwaitSave } from './checkpoint/save.ts';
import type { Host } from './host.ts';
import { layoutOf } from './layout.ts';

/** Uses the freezer of the sandbox's control group. Throws `checkpoint_failed`. */
export async function freezeSandbox(host: Host, { sandboxId }: SandboxInstance): Promise<void> {
  await host.cgroups.freeze(cgroupOf(host.instance, sandboxId));
}

/** Throws `sandbox_resume_failed` if the sandbox has ended while it was frozen. */
export async function thawSandbox(host: Host, instance: SandboxInstance): Promise<void> {
  const { sandboxId, directory } = instance;
  await outwaitSave(host, layoutOf(host.instance, sandboxId, directory), sandboxId);
  refuseDoomed(instance);
  await host.cgroups.thaw(cgroupOf(host.instance, sandboxId));
}
