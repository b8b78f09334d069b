import type { Schemas } from '../api.ts';
import { segment, streamLines } from '../api.ts';
import type { Connection, RequestOptions } from '../config.ts';
import { SoulBoxError } from '../error.ts';
import { seconds } from './create.ts';

/** What to run: code, a file in the sandbox, or a folder in the sandbox with a project. */
export type RunTarget =
  | { readonly code: string }
  | { readonly file: string }
  | { readonly project: string; readonly entry?: string | undefined };

type Wire = Schemas['Run'];
type Detected = Extract<Schemas['RunEvent'], { type: 'detected' }>;
type Ended = Extract<Schemas['RunEvent'], { type: 'result' }>;

/** The options of a run. */
export interface RunOptions extends Pick<RequestOptions, 'signal'> {
  /** Default: found by the name, the first line and the content. */
  readonly language?: Wire['language'] | undefined;
  /** Default: found by the language and the files of the project. */
  readonly runtime?: Wire['runtime'] | undefined;
  readonly args?: readonly string[] | undefined;
  /** Standard input. Default: none. */
  readonly stdin?: string | undefined;
  readonly envs?: Readonly<Record<string, string>> | undefined;
  readonly cwd?: string | undefined;
  readonly user?: string | undefined;
  /** After this time the program is killed, in milliseconds, rounded up to seconds. Default: 60,000. */
  readonly timeoutMs?: number | undefined;
  /** Limit of memory, in MiB. Default: that of the sandbox. */
  readonly memoryMB?: number | undefined;
  /** Install the dependencies of a project. Default: true. */
  readonly install?: boolean | undefined;
  /** Called with output as it arrives. Reading waits for what they return. */
  readonly onStdout?: ((data: string) => void | Promise<void>) | undefined;
  readonly onStderr?: ((data: string) => void | Promise<void>) | undefined;
  /** Called with what happens before the program starts, such as the installation of dependencies. */
  readonly onLog?: ((text: string) => void | Promise<void>) | undefined;
}

/** How a run ended. An exit code that is not 0 is a result, no error. */
export type RunOutcome = Omit<Ended, 'type'> &
  Omit<Detected, 'type'> & {
    /** As UTF-8, up to the limit of the call. */
    readonly stdout: string;
    readonly stderr: string;
  };

/** @internal */
export async function runProgram(
  connection: Connection,
  sandboxId: string,
  target: RunTarget,
  options: RunOptions,
): Promise<RunOutcome> {
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
