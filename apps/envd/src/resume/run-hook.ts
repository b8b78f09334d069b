import { closeSync, constants } from 'node:fs';
import { constants as osConstants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Reaper } from '../sys/reaper.ts';
import type { ExitStatus } from '../sys/exit-status.ts';
import { withUserScore } from '../sys/out-of-memory-score.ts';
import { openPipe } from '../sys/pipe.ts';
import { readDescriptor } from '../sys/read-descriptor.ts';
import { signalGroup } from '../sys/signal.ts';
import { spawnProgram } from '../sys/spawn.ts';

export interface HookOutcome {
  /** `timeout`: the hook was killed with its process group. */
  readonly end: ExitStatus | 'timeout';
  /** The beginning of the combined outputs. */
  readonly output: string;
}

/** The maximum size of a log field. */
const maxOutputBytes = 512;
/**
 * The time to read output that is still in the pipe when a hook ends, if a daemon that it started keeps the pipe open.
 */
const lastOutputMs = 20;

/** Runs one executable as root, without input. Throws the kernel's error if it cannot be started. */
export async function runHook(
  path: string,
  options: { env: Readonly<Record<string, string>>; timeoutMs: number; reaper: Reaper },
): Promise<HookOutcome> {
  const pipe = openPipe();
  try {
    const pid = startHook(path, options.env, pipe.writeFd);
    const ended = new Promise<ExitStatus>((resolve) => options.reaper.watch(pid, resolve));
    const output = collectOutput(pipe.readFd);
    const end = await endOrKill(pid, ended, options.timeoutMs);
    return { end, output: await output.take() };
  } finally {
    closeSync(pipe.readFd);
  }
}

function startHook(path: string, env: Readonly<Record<string, string>>, outputFd: number): number {
  try {
    const stdio = [{ path: '/dev/null', flags: constants.O_RDONLY }, { fd: outputFd }, { fd: outputFd }] as const;
    return withUserScore(() => spawnProgram({ paths: [path], argv: [path], env, cwd: '/', stdio }));
  } finally {
    closeSync(outputFd);
  }
}

async function endOrKill(pid: number, ended: Promise<ExitStatus>, timeoutMs: number): Promise<ExitStatus | 'timeout'> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<'timeout'>((resolve) => (timer = setTimeout(() => resolve('timeout'), timeoutMs)));
  try {
    const end = await Promise.race([ended, timeout]);
    if (end === 'timeout') signalGroup(pid, osConstants.signals.SIGKILL);
    return end;
  } finally {
    clearTimeout(timer);
  }
}

/** Reads to the end, so that a hook never waits for room in the pipe, and keeps the beginning. */
function collectOutput(fd: number): { take(): Promise<string> } {
  const reader = readDescriptor(fd);
  let kept = Buffer.alloc(0);
  const reading = (async (): Promise<void> => {
    for (;;) {
      const bytes = await reader.read();
      if (bytes === undefined) return;
      kept = Buffer.concat([kept, bytes.subarray(0, maxOutputBytes - kept.length)]);
    }
  })();
  return {
    async take() {
      await Promise.race([reading, sleep(lastOutputMs)]);
      reader.cancel();
      return kept.toString('utf8').trim();
    },
  };
}
