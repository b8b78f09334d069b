import { setTimeout as sleep } from 'node:timers/promises';
import { listPids } from '../cgroup/tree.ts';
import type { SandboxInstance } from '../driver.ts';
import { refuseDoomed } from '../host/init-process.ts';
import { cgroupOf } from '../host/names.ts';
import { outwaitSave } from './checkpoint/save.ts';
import { findDying } from './dying-programs.ts';
import type { Host } from './host.ts';
import { layoutOf } from './layout.ts';

/** How long a frozen sandbox may run again so that programs that are ending end. About 130 ms in all. */
const endWaitsMs = [1, 2, 4, 8, 16, 16, 16, 16, 16, 16, 16];

/**
 * Uses the freezer of the sandbox's control group, at a moment in which no program is ending: such a program cannot be
 * saved and restored. If there is no such moment, the save fails. Throws `checkpoint_failed`.
 */
export async function freezeSandbox(host: Host, { sandboxId }: SandboxInstance): Promise<void> {
  const group = cgroupOf(host.instance, sandboxId);
  await host.cgroups.freeze(group);
  for (const waitMs of endWaitsMs) {
    if ((await findDying(await listPids(host.cgroups.freezerOf(group)))) === undefined) return;
    await host.cgroups.thaw(group);
    await sleep(waitMs);
    await host.cgroups.freeze(group);
  }
}

/** Throws `sandbox_resume_failed` if the sandbox has ended while it was frozen. */
export async function thawSandbox(host: Host, instance: SandboxInstance): Promise<void> {
  const { sandboxId, directory } = instance;
  await outwaitSave(host, layoutOf(host.instance, sandboxId, directory), sandboxId);
  refuseDoomed(instance);
  await host.cgroups.thaw(cgroupOf(host.instance, sandboxId));
}
