import { readFileSync } from 'node:fs';
import { isRunning, SoulBoxError } from '@soulbox/base';
import type { ReadText } from '@soulbox/linux/held-files';

/** The first process of a sandbox, as identified by its record and its instance. */
export interface InitProcess {
  readonly initPid: number;
  readonly initStartTicks: number;
}

/** Whether the same process still runs. Synchronous: one read of a pseudo file, about 15 µs. */
export function initRuns({ initPid, initStartTicks }: InitProcess, read?: ReadText): boolean {
  return isRunning({ pid: initPid, startTicks: initStartTicks }, read);
}

/**
 * Throws `sandbox_resume_failed` for a frozen sandbox whose init has ended, or will end as soon as it continues,
 * because none of its processes has run. With control groups v1, SIGKILL waits until the thaw. Data that the other
 * processes write in that moment would be lost.
 */
export function refuseDoomed(init: InitProcess & { readonly sandboxId: string }): void {
  if (initRuns(init) && !isKillPending(readFileSync(`/proc/${init.initPid}/status`, 'latin1'))) return;
  throw new SoulBoxError('sandbox_resume_failed', `Sandbox "${init.sandboxId}" was killed while it was frozen.`);
}

/** Whether SIGKILL waits for the process of this /proc/PID/status: SigPnd and ShdPnd, bit n for signal n + 1 (proc(5)). */
export function isKillPending(status: string): boolean {
  const masks = [...status.matchAll(/^(?:SigPnd|ShdPnd):\s+([0-9a-f]+)$/gm)].map(([, mask = '0']) =>
    BigInt(`0x${mask}`),
  );
  return masks.some((mask) => (mask & (1n << 8n)) !== 0n);
}

/** Differs after each boot, so that a pid and start time of the last boot cannot match by chance. */
export function readBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}
