import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { SoulBoxError } from '@soulbox/base';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { callerOf } from '../auth/authenticate.ts';
import { isClosed, keySignalOf } from '../auth/key-signal.ts';
import type { ApiContext } from '../context.ts';
import { followEveryMs, followKeepaliveMs, followPatienceMs, followReaderIdleMs } from '../limits.ts';

/** The media type by which a client asks for a stream of what is new, on routes that give a list otherwise. */
export const followType = 'application/x-ndjson';

/** For the descriptions of these routes. */
export const followDescription =
  `With \`Accept: ${followType}\`, the response is a stream of lines of JSON that goes on with what is new. ` +
  'Blank lines keep the connection alive. SoulBox extension.';

declare module 'fastify' {
  interface FastifyRequest {
    /** The response goes on until its reader leaves, so how long it took says nothing. */
    isFollowed?: boolean;
  }
}

/** What is new since the last time. */
export interface News {
  /** Objects, each of which becomes a line. */
  readonly lines: readonly object[];
  /** There is more at once. */
  readonly hasMore?: boolean;
}

export const isFollowed = (request: FastifyRequest): boolean => (request.headers.accept ?? '').includes(followType);

/**
 * Sends what `read` returns, again and again. What fails the first time is an error of the call. When the sandbox is
 * gone later, the last line is `{"ended":true}`; a stream without it was cut off. A reader that stops reading is cut
 * off, and costs one unsent answer until then.
 */
export async function sendFollowed(
  context: ApiContext,
  request: FastifyRequest,
  reply: FastifyReply,
  read: () => Promise<News>,
): Promise<never> {
  const slot = context.transfers.take('followed stream', callerOf(request).team.id);
  const left = new AbortController();
  const end = (): void => {
    slot[Symbol.dispose]();
    left.abort();
  };
  if (isClosed(reply)) end();
  reply.raw.once('close', end);
  const signal = AbortSignal.any([left.signal, keySignalOf(request, reply, context), context.stopping]);
  const first = await read();
  request.isFollowed = true;
  // A reader that takes nothing never hears of an error.
  signal.addEventListener('abort', () => reply.raw.destroy(), { once: true });
  const body = Readable.from(
    whileRead(linesOf(first, read, signal), () => left.abort()),
    { objectMode: false, highWaterMark: 1 },
  );
  void reply.type(followType).header('cache-control', 'no-store');
  return await reply.send(body);
}

async function* linesOf(first: News, read: () => Promise<News>, signal: AbortSignal): AsyncGenerator<string> {
  const patiently = withPatience(read);
  // The client has its headers at once.
  yield '\n';
  let saidAt = performance.now();
  for (let news: News | undefined = first; news !== undefined; news = await patiently()) {
    const isSilent = news.lines.length === 0;
    if (!isSilent) yield news.lines.map((line) => `${JSON.stringify(line)}\n`).join('');
    else if (performance.now() - saidAt >= followKeepaliveMs) yield '\n';
    if (!isSilent || performance.now() - saidAt >= followKeepaliveMs) saidAt = performance.now();
    if (news.hasMore !== true) await sleep(followEveryMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
  }
  yield '{"ended":true}\n';
}

/** Undefined: the sandbox is gone. A runner that is away for a moment has no news. */
function withPatience(read: () => Promise<News>): () => Promise<News | undefined> {
  let awaySince: number | undefined;
  return async () => {
    try {
      const news = await read();
      awaySince = undefined;
      return news;
    } catch (error) {
      if (!(error instanceof SoulBoxError)) throw error;
      if (error.reason === 'sandbox_not_found') return undefined;
      const now = performance.now();
      awaySince ??= now;
      if (error.code !== 'unavailable' || now - awaySince > followPatienceMs) throw error;
      return { lines: [] };
    }
  };
}

/** Calls `stop` when a piece is not taken for a minute. */
async function* whileRead(pieces: AsyncIterable<string>, stop: () => void): AsyncGenerator<string> {
  let late: NodeJS.Timeout | undefined;
  try {
    for await (const piece of pieces) {
      late = setTimeout(stop, followReaderIdleMs);
      yield piece;
      clearTimeout(late);
    }
  } finally {
    clearTimeout(late);
  }
}
