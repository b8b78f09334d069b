import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Program } from '@soulbox/envd-client';

/** What every Debian and Ubuntu has (the package perl-base is essential there). */
export const launcherProgram = '/usr/bin/perl';

const script = readFileSync(join(import.meta.dirname, 'launcher.pl'), 'utf8');

export interface LaunchLimits {
  /** 0: none. */
  readonly timeoutMs: number;
  /** 0: none. */
  readonly memoryMb: number;
}

/** The program, run through the launcher, which writes what it saw to `reportPath` in the sandbox. */
export function launched(
  command: readonly [string, ...string[]],
  reportPath: string,
  { timeoutMs, memoryMb }: LaunchLimits,
): Pick<Program, 'command' | 'args'> {
  const limits = [String(timeoutMs), String(memoryMb * 1024 * 1024)];
  return { command: launcherProgram, args: ['-e', script, '--', reportPath, ...limits, ...command] };
}

/** What the launcher saw. Written by a process of the sandbox: it says nothing about anything else. */
export interface LaunchReport {
  /** Of the program's exec; 0 when it began. */
  readonly errno: number;
  readonly timedOut: boolean;
  readonly memoryExceeded: boolean;
  readonly peakBytes: number;
}

/** A report has four short lines. */
export const maxReportBytes = 1024;

/** Undefined for anything but a report. */
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
