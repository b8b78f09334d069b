import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Program } from '@soulbox/envd-client';

/** Every Debian and Ubuntu has it, because the package perl-base is essential there. */
export const launcherProgram = '/usr/bin/perl';

const script = readFileSync(join(import.meta.dirname, 'launcher.pl'), 'utf8');

export interface LaunchLimits {
  /** 0: none. */
  readonly timeoutMs: number;
  /** 0: none. */
  readonly memoryMb: number;
}

/** The program, run by the launcher, which writes its report to `reportPath` in the sandbox. */
export function launched(
  command: readonly [string, ...string[]],
  reportPath: string,
  { timeoutMs, memoryMb }: LaunchLimits,
): Pick<Program, 'command' | 'args'> {
  const limits = [String(timeoutMs), String(memoryMb * 1024 * 1024)];
  return { command: launcherProgram, args: ['-e', script, '--', reportPath, ...limits, ...command] };
}

/** The launcher's report. A process of the sandbox wrote it, so it is used for nothing outside that sandbox. */
export interface LaunchReport {
  /** Error number of the program's exec. 0 when the program was started. */
  readonly errno: number;
  readonly timedOut: boolean;
  readonly memoryExceeded: boolean;
  readonly peakBytes: number;
}

/** A report has four short lines. */
export const maxReportBytes = 1024;

/** Undefined for any other text. */
export function parseReport(text: string): LaunchReport | undefined {
  const match = /^errno (\d{1,4})\ntimed_out ([01])\nmemory_exceeded ([01])\npeak_bytes (\d{1,15})\n$/.exec(text);
  if (match === null) return undefined;
  const [, errno, timedOut, memoryExceeded, peakBytes] = match;
  return {
    errno: Number(errno),
    timedOut: timedOut === '1',
    memoryExceeded: memoryExceeded === '1',
    peakBytes: Number(peakBytes),
  };
}
