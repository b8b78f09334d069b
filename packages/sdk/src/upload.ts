import { CallError, noRetries } from '@soulbox/client';
import { apiHeaders, apiUrlOf, chunksOf, errorFromResponse } from './api.ts';
import type { ApiCall } from './api.ts';
import type { Connection } from './config.ts';
import { rethrow, SoulBoxError } from './error.ts';

/** A server that takes in a large file does not answer for a while. The CLI has the same limit. */
const idleMs = 600_000;

/**
 * Makes a call with a stream as its body. Its size is not known, so only a standstill ends it. The source can be read once,
 * and so the call is made once.
 *
 * @internal
 */
export async function upload<T>(
  connection: Connection,
  { method, path, query = {} }: Pick<ApiCall, 'path' | 'query'> & { readonly method: 'POST' | 'PUT' },
  source: AsyncIterable<Uint8Array> | Blob,
  contentType: string,
): Promise<T> {
  const { target, host, options } = connection;
  const idle = createIdleLimit();
  const signal = options.signal === undefined ? idle.signal : AbortSignal.any([options.signal, idle.signal]);
  const attempt = async (ended: AbortSignal | undefined): Promise<T> => {
    const release = await target.take(host.streamSlots, ended);
    try {
      const response = await connection.fetch(apiUrlOf(connection, { path, query }), {
        ...{ method, headers: { ...apiHeaders(connection), 'content-type': contentType } },
        ...bodyOf(source, idle.touch),
        ...(ended === undefined ? {} : { signal: ended }),
      });
      if (!response.ok) throw await errorFromResponse(response, `The server returned status ${response.status}.`);
      return (await response.json()) as T;
    } finally {
      release();
    }
  };
  return await target
    .call({ name: `${method} ${path}`, isSafeToRepeat: false }, attempt, {
      ...{ signal, retry: noRetries, attemptTimeoutMs: 0 },
    })
    .catch((thrown: unknown) => {
      const cause = thrown instanceof CallError && thrown.cause instanceof SoulBoxError ? thrown.cause : thrown;
      return rethrow(cause);
    })
    .finally(idle.end);
}

/** Of browsers, only some can send a stream. There the size of the blob is known, and no standstill is noticed. */
function bodyOf(source: AsyncIterable<Uint8Array> | Blob, onPiece: () => void): RequestInit {
  if (source instanceof Blob && 'document' in globalThis) {
    onPiece();
    return { body: source };
  }
  const pieces = source instanceof Blob ? chunksOf(new Response(source)) : source;
  return { body: streamOf(pieces, onPiece), duplex: 'half' };
}

interface IdleLimit {
  readonly signal: AbortSignal;
  /** Something has moved. */
  readonly touch: () => void;
  readonly end: () => void;
}

function createIdleLimit(): IdleLimit {
  const limit = new AbortController();
  const late = (): void => limit.abort(new DOMException(`Nothing has moved for ${idleMs} ms.`, 'TimeoutError'));
  let timer = setTimeout(late, idleMs);
  return {
    signal: limit.signal,
    touch() {
      clearTimeout(timer);
      timer = setTimeout(late, idleMs);
    },
    end: () => clearTimeout(timer),
  };
}

function streamOf(source: AsyncIterable<Uint8Array>, onPiece: () => void): ReadableStream<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        onPiece();
        const next = await iterator.next();
        if (next.done === true) controller.close();
        else controller.enqueue(next.value);
      },
      async cancel() {
        await iterator.return?.();
      },
    },
    { highWaterMark: 0 },
  );
}
