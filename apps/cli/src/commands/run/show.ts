import { once } from 'node:events';
import { constants } from 'node:os';
import { text } from 'node:stream/consumers';
import { callApi } from '../../api/call.ts';
import type { ApiConnection } from '../../api/connection.ts';
import { ApiError } from '../../api/api-error.ts';
import { streamApi } from '../../api/stream.ts';
import type { ApiRunEnd, ApiRunEvent, ApiRunResult } from '../../api/wire.ts';
import { exitCodes } from '../../command-line/exit-codes.ts';

interface Call {
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly signal: AbortSignal;
}

/** Runs the program and prints its output as it arrives. Returns the exit code for this process. */
export async function runStreamed(
  api: ApiConnection,
  { onStart, ...call }: Call & { readonly onStart: (pid: number) => void },
): Promise<number> {
  const body = { ...call.body, encoding: 'base64' };
  for await (const event of streamApi<ApiRunEvent>(api, { ...call, body })) {
    if (event.type === 'started') onStart(event.pid);
    else if (event.type === 'log') await write(process.stderr, Buffer.from(event.text));
    else if (event.type === 'stdout' || event.type === 'stderr')
      await write(process[event.type], Buffer.from(event.data, 'base64'));
    else if (event.type === 'error') throw new ApiError(event.code, event.message);
    else if (event.type === 'result') {
      explain(event);
      return exitCodeOf(event);
    }
  }
  throw new ApiError(502, 'The connection was closed before the program ended.');
}

/** Runs the program and prints the result as one line of JSON. */
export async function runAtOnce(
  api: ApiConnection,
  { path, body, hasInput, signal }: Call & { readonly hasInput: boolean },
): Promise<number> {
  // A terminal would have to be read to its end first.
  const stdin = hasInput && !process.stdin.isTTY ? await text(process.stdin) : undefined;
  const answer = await callApi<ApiRunResult>(api, { method: 'POST', path, body: { ...body, stdin }, signal });
  console.log(JSON.stringify(answer.body));
  return exitCodeOf(answer.body);
}

async function write(stream: NodeJS.WriteStream, bytes: Uint8Array): Promise<void> {
  if (!stream.write(bytes)) await once(stream, 'drain');
}

function explain({ timedOut, memoryExceeded, signal, stdoutTruncated, stderrTruncated }: ApiRunEnd): void {
  if (timedOut) console.error('error: the program was killed at its time limit (--timeout).');
  else if (memoryExceeded) console.error('error: the program was killed at its memory limit (--memory).');
  else if (signal !== null) console.error(`error: the program was killed by ${signal}.`);
  if (stdoutTruncated || stderrTruncated) console.error('warning: output beyond the limit was discarded.');
}

/** As in shells: 124 for a timeout, 128 plus the number for a signal. */
function exitCodeOf({ exitCode, signal, timedOut }: ApiRunEnd): number {
  if (timedOut) return exitCodes.timedOut;
  if (exitCode !== null) return exitCode;
  const number = (constants.signals as Readonly<Record<string, number>>)[signal ?? ''];
  return exitCodes.signalBase + (number ?? 0);
}
