import type { Clock } from '@soulbox/base';
import type { SandboxInstance } from '@soulbox/isolation';
import type { Live } from '../registry/table.ts';

/** A sandbox is checked again after this time, whatever its CPU time says. */
const checkAgainMs = 5_000;

/**
 * Checks whether sandboxes are alive. One that was alive is not checked again while none of its processes has run, because
 * a process that ends uses CPU time, even when it is killed. That costs a third of the check.
 */
export function createLifeCheck(clock: Clock): (live: Live) => boolean {
  const alive = new WeakMap<SandboxInstance, { readonly cpuUsed: number; readonly atMs: number }>();
  return (live) => {
    const { driver, instance } = live;
    const [last, atMs, cpuUsed] = [alive.get(instance), clock.now(), readCpuUsed(live)];
    if (cpuUsed === last?.cpuUsed && last !== undefined && Math.abs(atMs - last.atMs) < checkAgainMs) return true;
    if (!driver.isAlive(instance)) return false;
    if (cpuUsed === undefined) alive.delete(instance);
    else alive.set(instance, { cpuUsed, atMs });
    return true;
  };
}

/** Undefined if its processes are gone. */
function readCpuUsed({ driver, instance }: Live): number | undefined {
  try {
    return driver.readCpuUsed(instance);
  } catch {
    return undefined;
  }
}
