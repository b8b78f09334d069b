import { StringDecoder } from 'node:string_decoder';
import { sleep } from '@soulbox/base';
import type { Clock } from '@soulbox/base';
import type { ProgramOutput } from '@soulbox/envd-client';

export type BuildLogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface BuildLogEntry {
  /** Milliseconds since the Unix epoch. */
  readonly atMs: number;
  readonly level: BuildLogLevel;
  /** `base`, `finalize`, or the number of the step, from 1 on. */
  readonly step: string;
  readonly message: string;
}

/** A longer line is told in pieces. */
const maxLineLength = 4096;
/** Of the output of one step: what comes after is counted and left out. */
const maxStepBytes = 1024 * 1024;
const maxStepLines = 10_000;
/** Of all steps together. */
const maxBuildBytes = 16 * 1024 * 1024;
/** What nobody reads comes no faster, or a program that prints without end would keep the whole runner busy. */
const cutBytesPerSecond = 16 * 1024 * 1024;
/** Timers are not exact: many short sleeps would take much longer than they say. */
const leastSleepMs = 20;
/** Each entry costs this much besides its text. */
const entryBytes = 100;

/** The log of one build. What it keeps of programs' output is bounded, whatever they print. */
export interface BuildLog {
  write(step: string, level: BuildLogLevel, message: string): void;
  /** Takes what the programs of a step print, line by line, standard error as `warn`. */
  openOutput(step: string): StepOutput;
}

export interface StepOutput {
  readonly take: ProgramOutput;
  /** Tells what is left of unfinished lines, and how much was left out. */
  end(): void;
}

export function createBuildLog(onEntry: (entry: BuildLogEntry) => void, clock: Clock): BuildLog {
  let leftBytes = maxBuildBytes;
  const write: BuildLog['write'] = (step, level, message) => {
    onEntry({ atMs: clock.now(), level, step, message });
  };
  return {
    write,
    openOutput(step) {
      const decoders = { stdout: new StringDecoder('utf8'), stderr: new StringDecoder('utf8') };
      const unfinished = { stdout: '', stderr: '' };
      let stepBytes = maxStepBytes;
      let stepLines = maxStepLines;
      let leftOutBytes = 0;
      let cut = false;
      let hurryMs = 0;

      const tell = (channel: 'stdout' | 'stderr', line: string): void => {
        const cost = line.length + entryBytes;
        if (cut || stepLines < 1 || stepBytes < cost || leftBytes < cost) {
          if (!cut) write(step, 'warn', 'More output than a build log holds: the rest of this step is left out.');
          cut = true;
          leftOutBytes += line.length;
          return;
        }
        stepLines -= 1;
        stepBytes -= cost;
        leftBytes -= cost;
        write(step, channel === 'stdout' ? 'info' : 'warn', line);
      };
      const split = (channel: 'stdout' | 'stderr', text: string): void => {
        const lines = text.split('\n');
        const last = lines.pop() ?? '';
        for (const line of lines) for (const piece of piecesOf(line.replace(/\r$/, ''))) tell(channel, piece);
        let rest = last;
        for (; rest.length > maxLineLength; rest = rest.slice(maxLineLength))
          tell(channel, rest.slice(0, maxLineLength));
        unfinished[channel] = rest;
      };

      return {
        async take(channel, bytes) {
          if (cut) {
            leftOutBytes += bytes.length;
            hurryMs += (bytes.length / cutBytesPerSecond) * 1000;
            if (hurryMs < leastSleepMs) return;
            await sleep(hurryMs);
            hurryMs = 0;
          } else split(channel, unfinished[channel] + decoders[channel].write(Buffer.from(bytes)));
        },
        end() {
          for (const channel of ['stdout', 'stderr'] as const) {
            if (!cut && unfinished[channel] !== '') tell(channel, unfinished[channel]);
            unfinished[channel] = '';
          }
          if (leftOutBytes > 0) write(step, 'warn', `${leftOutBytes} bytes of output were left out.`);
          leftOutBytes = 0;
        },
      };
    },
  };
}

function piecesOf(line: string): string[] {
  const pieces: string[] = [];
  for (let at = 0; at < line.length || at === 0; at += maxLineLength) pieces.push(line.slice(at, at + maxLineLength));
  return pieces;
}
