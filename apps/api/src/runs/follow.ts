import type { RunProgramResponse, RunProgramResponse_Done } from '@soulbox/contract/runner';
import { errorFromConnect } from '@soulbox/contract/connect-errors';
import { languages, runtimeNames } from '@soulbox/runtimes';
import { SoulBoxError } from '@soulbox/base';
import { z } from 'zod';
import type { ApiContext } from '../context.ts';
import { runLimits } from '../limits.ts';
import type { Run, RunDetected, RunEnded } from './schemas.ts';

/** Converts bytes, which may be cut anywhere, to text in the requested encoding. */
export interface Decoder {
  decode(bytes: Uint8Array): string;
  /** The rest of an incomplete character. */
  end(): string;
}

export function createDecoder(encoding: Run['encoding']): Decoder {
  if (encoding === 'base64') return { decode: (bytes) => Buffer.from(bytes).toString('base64'), end: () => '' };
  const decoder = new TextDecoder();
  return { decode: (bytes) => decoder.decode(bytes, { stream: true }), end: () => decoder.decode() };
}

export interface RunOptions {
  readonly run: Run;
  readonly isStreamed: boolean;
  readonly signal: AbortSignal;
  /** Aborted when the caller's key has ended, with the error to report. */
  readonly ended: AbortSignal;
}

/** The runner's stream for a run in a tenant's sandbox. Errors are converted to ours. */
export async function* startRun(
  { runner }: ApiContext,
  sandboxId: string,
  { run, isStreamed, signal, ended }: RunOptions,
): AsyncGenerator<RunProgramResponse, undefined> {
  const limit = isStreamed ? runLimits.streamedOutputBytes : runLimits.answeredOutputBytes;
  const request = {
    sandboxId,
    subject: subjectOf(run),
    entry: run.entry ?? '',
    language: run.language ?? '',
    runtime: run.runtime ?? '',
    args: run.args,
    envVars: run.envVars,
    cwd: run.cwd ?? '',
    user: run.user ?? '',
    input: inputOf(run),
    timeoutMs: Math.round(run.timeout * 1000),
    outputLimitBytes: BigInt(Math.min(run.outputLimit ?? limit, limit)),
    memoryMb: run.memoryMB ?? 0,
    permissions: permissionsOf(run),
    install: run.install,
    shareDependencies: run.shareDependencies,
  };
  try {
    yield* runner.runProgram(request, { signal });
  } catch (thrown) {
    throw ended.aborted ? ended.reason : errorFromConnect(thrown);
  }
  return undefined;
}

function subjectOf({ code, file, project }: Run) {
  if (code !== undefined) return { case: 'code', value: code } as const;
  if (file !== undefined) return { case: 'file', value: file } as const;
  return { case: 'project', value: project ?? '' } as const;
}

function inputOf({ stdin, stdinOpen }: Run) {
  if (stdin !== undefined) return { case: 'stdin', value: new Uint8Array(Buffer.from(stdin)) } as const;
  return { case: 'stdinOpen', value: stdinOpen } as const;
}

function permissionsOf({ permissions }: Run) {
  return Object.entries(permissions).flatMap(([name, allowed]) => {
    if (allowed === true) return [{ name, only: [] }];
    return allowed === false || allowed.length === 0 ? [] : [{ name, only: allowed }];
  });
}

const detectedSchema = z.object({
  runtime: z.enum(runtimeNames),
  language: z.enum(languages),
  sureness: z.number(),
  reasons: z.array(z.string()),
});
const dependenciesSchema = z.enum(['none', 'skipped', 'present', 'cache', 'installed']);

/** Throws `internal` unless this is the first message that a runner sends. */
export function detectedFrom(message: RunProgramResponse | undefined): RunDetected {
  if (message?.event.case !== 'detected') throw new SoulBoxError('internal', 'A run began without a runtime.');
  return detectedSchema.parse(message.event.value);
}

export function endedFrom(done: RunProgramResponse_Done): RunEnded {
  const round = (ms: number): number => Math.round(ms * 10) / 10;
  return {
    exitCode: done.exitCode ?? null,
    signal: done.signal === '' ? null : done.signal,
    timedOut: done.timedOut,
    memoryExceeded: done.memoryExceeded,
    stdoutTruncated: done.stdoutTruncated,
    stderrTruncated: done.stderrTruncated,
    dependencies: dependenciesSchema.parse(done.dependencies),
    timings: {
      detectMs: round(done.detectMs),
      prepareMs: round(done.prepareMs),
      executeMs: round(done.executeMs),
    },
    peakMemoryBytes: done.peakMemoryBytes === 0n ? null : Number(done.peakMemoryBytes),
  };
}
