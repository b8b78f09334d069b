import type { Schemas } from '../api.ts';
import { segment, streamLines } from '../api.ts';
import type { Connection, RequestOptions } from '../config.ts';
import { SoulBoxError } from '../error.ts';
import type { Files } from '../files.ts';
import { rethrowLocal } from '../local-folder.ts';
import type { LocalFolder } from '../local-folder.ts';
import { randomId } from '../processes.ts';
import { seconds } from './create.ts';

/** What to run: code, a file in the sandbox, or a folder with a project, in the sandbox or on this machine. */
export type RunTarget =
  | {
      /** The source code, at most 512 KiB. */
      readonly code: string;
    }
  | {
      /** The path of a file. A relative path begins at `cwd`. */
      readonly file: string;
    }
  | {
      /** The path of a folder. A relative path begins at `cwd`. */
      readonly project: string;
      /** The file of the project to run. Default: what the project's own files name, otherwise a usual name. */
      readonly entry?: string | undefined;
    }
  | {
      /**
       * A folder of this machine with a project, see {@link LocalFolder}. Its files are copied into a new folder in the
       * home of the user, where they stay.
       */
      readonly folder: LocalFolder;
      /** The file of the project to run. Default: what the project's own files name, otherwise a usual name. */
      readonly entry?: string | undefined;
    };

type Wire = Schemas['Run'];
type Result = Schemas['RunResult'];
type Detected = Extract<Schemas['RunEvent'], { type: 'detected' }>;

/** The options of a run. docs/runtimes.md describes the runtimes and the limits. */
export interface RunOptions extends Pick<RequestOptions, 'signal'> {
  /** Default: found by the name, the first line and the content. */
  readonly language?: Wire['language'] | undefined;
  /** Default: found by the language and the files of the project. */
  readonly runtime?: Wire['runtime'] | undefined;
  /** The arguments of the program, at most 1000. Default: none. */
  readonly args?: readonly string[] | undefined;
  /** The complete standard input, at most 256 KiB. Default: none. */
  readonly stdin?: string | undefined;
  /** Variables beside those of the sandbox, at most 512. Default: none. */
  readonly envs?: Readonly<Record<string, string>> | undefined;
  /** The working directory. Default: the project, the folder of the file, or that of the template. */
  readonly cwd?: string | undefined;
  /** The user of the sandbox that the program runs as. Default: the sandbox's default user. */
  readonly user?: string | undefined;
  /**
   * After this time the program is killed, in milliseconds, rounded up to seconds, at most a day. Default: 60,000. The
   * outcome then has `timedOut`.
   */
  readonly timeoutMs?: number | undefined;
  /**
   * The limit of memory of all processes of the program together, in MiB, at least 16. Beyond it they are killed, and
   * the outcome has `memoryExceeded`. Default: the memory of the sandbox.
   */
  readonly memoryMB?: number | undefined;
  /** Whether the dependencies of a project are installed before it runs. Default: true. */
  readonly install?: boolean | undefined;
  /** Called with each part of standard output, as UTF-8. Reading waits for what it returns. Default: not called. */
  readonly onStdout?: ((data: string) => void | Promise<void>) | undefined;
  /** Called with each part of standard error, as UTF-8. Reading waits for what it returns. Default: not called. */
  readonly onStderr?: ((data: string) => void | Promise<void>) | undefined;
  /**
   * Called with the output of the installation of dependencies. Reading waits for what it returns. Default: not called.
   */
  readonly onLog?: ((text: string) => void | Promise<void>) | undefined;
}

/** How a run ended. An exit code that is not 0, a time limit and too much output are results, no errors. */
export interface RunOutcome {
  /** The runtime that ran the program. */
  readonly runtime: Result['runtime'];
  /** The language of the program. */
  readonly language: Result['language'];
  /** How sure the choice of the runtime was, 0 to 1. 1 if it was requested. */
  readonly sureness: number;
  /** Why the runtime was chosen. The first reason decided. */
  readonly reasons: readonly string[];
  /** The exit code. Null if a signal ended the program. */
  readonly exitCode: number | null;
  /** The signal that ended the program, such as `SIGKILL`. Null if it exited. */
  readonly signal: string | null;
  /** Whether the program was killed at `timeoutMs`. */
  readonly timedOut: boolean;
  /** Whether the program was killed because it used more than `memoryMB`. */
  readonly memoryExceeded: boolean;
  /** Whether standard output was longer than 1 GiB. The rest is discarded. */
  readonly stdoutTruncated: boolean;
  /** Whether standard error was longer than 1 GiB. The rest is discarded. */
  readonly stderrTruncated: boolean;
  /**
   * Where the dependencies of a project came from: `none` are needed, `skipped` (no `install`), `present` from an
   * earlier run in this sandbox, `cache` of the team, or `installed`.
   */
  readonly dependencies: Result['dependencies'];
  /** How long the detection, the installation and the program took, in milliseconds. */
  readonly timings: Result['timings'];
  /** The peak memory of the program's largest process, in bytes. Null if it cannot be measured. */
  readonly peakMemoryBytes: number | null;
  /** Standard output as UTF-8. Invalid bytes become U+FFFD. */
  readonly stdout: string;
  /** Standard error as UTF-8. Invalid bytes become U+FFFD. */
  readonly stderr: string;
}

/** @internal */
export async function runProgram(
  connection: Connection,
  { sandboxId, files }: { readonly sandboxId: string; readonly files: Pick<Files, 'write'> },
  given: RunTarget,
  options: RunOptions,
): Promise<RunOutcome> {
  const target = 'folder' in given ? await uploadProject(files, given, options) : given;
  const { envs, timeoutMs, onStdout, onStderr, onLog, signal: _signal, ...rest } = options;
  const body = {
    ...{ ...target, ...rest, envVars: envs, encoding: 'base64' },
    ...(timeoutMs === undefined ? {} : { timeout: seconds(timeoutMs) }),
  };
  const path = `/sandboxes/${segment(sandboxId)}/run`;
  const texts = { stdout: createText(onStdout), stderr: createText(onStderr) };
  let detected: Detected | undefined;
  for await (const event of streamLines<Schemas['RunEvent']>(connection, { method: 'POST', path, body })) {
    if (event.type === 'detected') detected = event;
    else if (event.type === 'log') await onLog?.(event.text);
    else if (event.type === 'stdout' || event.type === 'stderr') await texts[event.type].add(bytesOf(event.data));
    else if (event.type === 'error')
      throw new SoulBoxError(event.message, { code: 'failed_precondition', reason: 'run_failed', status: event.code });
    else if (event.type === 'result' && detected !== undefined) {
      const { type: _type, ...result } = event;
      const { type: _detected, ...facts } = detected;
      return { ...facts, ...result, stdout: await texts.stdout.end(), stderr: await texts.stderr.end() };
    }
  }
  throw new SoulBoxError('The connection was closed before the program ended.', {
    ...{ code: 'unavailable', reason: 'unreachable' },
  });
}

/** Open at the same time: not every runtime reads a blob only when it is sent. */
const filesAtOnce = 50;

/** Returns the target as it is in the sandbox. */
async function uploadProject(
  files: Pick<Files, 'write'>,
  { folder, entry }: Extract<RunTarget, { folder: LocalFolder }>,
  { user, signal }: RunOptions,
): Promise<Extract<RunTarget, { project: string }>> {
  const project = `~/soulbox-run-${randomId()}`;
  const paths = await folder.list().catch(rethrowLocal);
  for (let at = 0; at < paths.length; at += filesAtOnce) {
    const opened = paths.slice(at, at + filesAtOnce).map(async (path) => {
      return { path: `${project}/${path}`, data: await folder.read(path).catch(rethrowLocal) };
    });
    await files.write(await Promise.all(opened), { user, signal });
  }
  return { project, ...(entry === undefined ? {} : { entry }) };
}

function bytesOf(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

function createText(onText: ((data: string) => void | Promise<void>) | undefined): {
  add(data: Uint8Array): Promise<void>;
  end(): Promise<string>;
} {
  const decoder = new TextDecoder();
  let text = '';
  const append = async (part: string): Promise<void> => {
    if (part === '') return;
    text += part;
    await onText?.(part);
  };
  return {
    add: async (data) => await append(decoder.decode(data, { stream: true })),
    async end() {
      await append(decoder.decode());
      return text;
    },
  };
}
