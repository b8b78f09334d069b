import { CallError, ownReasons } from './call-error.ts';
import { resumeStream } from './resume-stream.ts';
import type { ResumeOptions } from './resume-stream.ts';

/** Characters of one line. */
const lineMax = 16 * 1024 * 1024;
/** The server sends a blank line after 15 s of silence. */
const silenceMs = 40_000;
const mediaType = 'application/x-ndjson';

/**
 * The lines of a response as they arrive, without their ends; blank ones, which keep the connection alive, too. Throws
 * `invalid_response` for another form and for a line of more than 16 Mi characters.
 */
export async function* linesOf(response: Response): AsyncGenerator<string> {
  if (response.headers.get('content-type')?.startsWith(mediaType) !== true)
    throw invalid('The response is not a stream of lines. The server may be older than this client.');
  // Not every browser can iterate over streams.
  const reader = (response.body as ReadableStream<Uint8Array> | null)?.getReader();
  if (reader === undefined) return;
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for (;;) {
      const next = await reader.read();
      if (next.done) return;
      const lines = (rest + decoder.decode(next.value, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > lineMax) throw invalid('The response has a line that is too long.');
      yield* lines;
    }
  } finally {
    // After the end it has no effect; before it, the connection is given up.
    void reader.cancel().catch(() => undefined);
  }
}

/**
 * Reads a stream of lines of JSON that goes on with what is new, over as many connections as it takes. `open` makes the
 * request for what follows the lines that were read. Ends after a line with `ended`, or when what was there at the first
 * request is gone at a later one (404). Throws CallError. The type of the lines is not verified.
 */
export async function* followLines<Line extends object>(
  open: (signal: AbortSignal) => Promise<Response>,
  options: ResumeOptions = {},
): AsyncGenerator<Line> {
  const first = { isOpen: false };
  const stream = {
    name: 'of what is new',
    async *open(from: { of(): bigint }, signal: AbortSignal) {
      let at = from.of();
      const response = await open(signal);
      first.isOpen = true;
      for await (const text of linesOf(response)) {
        if (text === '') yield undefined;
        else yield { line: parseLine(text) as Line, at: at++ };
      }
    },
    positionOf: (message: Numbered<Line> | undefined) =>
      message === undefined ? undefined : { start: message.at, end: message.at + 1n },
    isLast: (message: Numbered<Line> | undefined) => message !== undefined && 'ended' in message.line,
  };
  try {
    for await (const message of resumeStream(stream, { silenceMs, ...options }))
      if (message !== undefined && !('ended' in message.line)) yield message.line;
  } catch (error) {
    if (!(first.isOpen && error instanceof CallError && error.status === 404)) throw error;
  }
}

/** The server numbers no lines. Counting them is enough, because each request begins after the last one that was read. */
interface Numbered<Line> {
  readonly line: Line;
  readonly at: bigint;
}

function parseLine(text: string): object {
  try {
    const line: unknown = JSON.parse(text);
    if (typeof line === 'object' && line !== null) return line;
  } catch {
    // Handled below.
  }
  throw invalid('The response has a line that is not an object of JSON.');
}

function invalid(message: string): CallError {
  return new CallError(message, { code: 'internal', reason: ownReasons.invalidResponse, retryable: false });
}
