import { readFileSync } from 'node:fs';
import { isRunning } from '@soulbox/base';

/** The first process of a sandbox, as its record and its instance name it. */
export interface InitProcess {
  readonly initPid: number;
  readonly initStartTicks: number;
}

/** Whether the very process still runs. Synchronous: one read of a pseudo file, about 15 µs. */
export function initRuns({ initPid, initStartTicks }: InitProcess): boolean {
  return isRunning({ pid: initPid, startTicks: initStartTicks });
}

/** Differs after each boot, so that a pid and start time of the last one cannot match by chance. */
export function readBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}
