import { StringDecoder } from 'node:string_decoder';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '@soulbox/base';
import type { ProgramOutput } from '@soulbox/envd-client';
import { spendLine, splitLines } from './output-lines.ts';
import type { LineBudget } from './output-lines.ts';

export type BuildLogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface BuildLogEntry {
  /** Milliseconds since the Unix epoch. */
  readonly atMs: number;
  readonly level: BuildLogLevel;
  /** `base`, `finalize`, or the number of the step, counted from 1. */
  readonly step: string;
  readonly message: string;
}

/** A longer line is logged in pieces. */
const maxLineLength = 4096;
/** Limit for the output of one step. Output beyond it is counted and discarded. */
const stepBudget = { bytes: 1024 * 1024, lines: 10_000 };
/** Limit for all steps together. */
const buildBudget = { bytes: 16 * 1024 * 1024, lines: Infinity };
/**
 * Discarded output is read at this rate at most. Otherwise an endlessly printing program would keep the runner busy.
 */
const discardedBytesPerSecond = 16 * 1024 * 1024;
/** Timers are not exact: many short sleeps would take much longer than requested. */
const leastSleepMs = 20;

/** The log of one build. The amount of program output that it keeps is bounded. */
export interface BuildLog {
  write(step: string, level: BuildLogLevel, message: string): void;
  /** Logs the output of a step's programs line by line. Standard error is logged as `warn`. */
  openOutput(step: string): StepOutput;
}

export interface StepOutput {
  readonly take: ProgramOutput;
  /** Logs unfinished lines and the amount of output that was discarded. */
  end(): void;
}

export function createBuildLog(onEntry: (entry: BuildLogEntry) => void, clock: Clock): BuildLog {
  const budget = { ...buildBudget };
  const write: BuildLog['write'] = (step, level, message) => {
    onEntry({ atMs: clock.now(), level, step, message });
  };
  return {
    write,
    openOutput: (step) => createStepOutput(budget, (level, message) => write(step, level, message)),
  };
}

type Channel = 'stdout' | 'stderr';

function createStepOutput(buildBudget: LineBudget, write: (level: BuildLogLevel, message: string) => void): StepOutput {
  const decoders = { stdout: new StringDecoder('utf8'), stderr: new StringDecoder('utf8') };
  const unfinished = { stdout: '', stderr: '' };
  const budgets = [{ ...stepBudget }, buildBudget];
  const slowDown = createSlowDown();
  let leftOutBytes = 0;
  let isCut = false;

  const log = (channel: Channel, line: string): void => {
    if (!isCut && spendLine(line.length, budgets)) {
      write(channel === 'stdout' ? 'info' : 'warn', line);
      return;
    }
    if (!isCut) write('warn', 'The build log is full. Further output of this step is discarded.');
    isCut = true;
    leftOutBytes += line.length;
  };

  return {
    async take(channel, bytes) {
      if (isCut) {
        leftOutBytes += bytes.length;
        await slowDown(bytes.length);
        return;
      }
      const { lines, rest } = splitLines(
        unfinished[channel] + decoders[channel].write(Buffer.from(bytes)),
        maxLineLength,
      );
      for (const line of lines) log(channel, line);
      unfinished[channel] = rest;
    },
    end() {
      for (const channel of ['stdout', 'stderr'] as const) {
        if (!isCut && unfinished[channel] !== '') log(channel, unfinished[channel]);
        unfinished[channel] = '';
      }
      if (leftOutBytes > 0) write('warn', `${leftOutBytes} bytes of output were discarded.`);
      leftOutBytes = 0;
    },
  };
}

/** Gives a function that sleeps so that bytes are read at `discardedBytesPerSecond` at most. */
function createSlowDown(): (bytes: number) => Promise<void> {
  let owedMs = 0;
  return async (bytes) => {
    owedMs += (bytes / discardedBytesPerSecond) * 1000;
    if (owedMs < leastSleepMs) return;
    await sleep(owedMs);
    owedMs = 0;
  };
}
