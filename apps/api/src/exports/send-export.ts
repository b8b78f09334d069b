import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { SoulBoxError } from '@soulbox/base';
import { errorFromConnect } from '@soulbox/contract/connect-errors';
import { writeExport } from '@soulbox/contract/export-file';
import type { ExportResponse } from '@soulbox/contract/runner';
import { callerOf } from '../auth/authenticate.ts';
import { isClosed, keySignalOf } from '../auth/key-signal.ts';
import type { ApiContext } from '../context.ts';
import { exportMs, exportReaderIdleMs } from '../limits.ts';
import { exportMediaType } from './media-type.ts';

type Source =
  | { readonly case: 'sandboxId'; readonly value: string }
  | { readonly case: 'snapshotId'; readonly value: string };

interface Wanted {
  readonly source: Source;
  readonly withMemory: boolean;
}

/**
 * Sends a sandbox or snapshot as a file. What fails before the first byte is an error of the call; later, the response
 * breaks off. The runner keeps what is exported until the reader has it, so a reader that stops is cut off.
 */
export async function sendExport(
  context: ApiContext,
  request: FastifyRequest,
  reply: FastifyReply,
  wanted: Wanted,
): Promise<FastifyReply> {
  const slot = context.transfers.take('export', callerOf(request).team.id);
  const left = new AbortController();
  const longest = setTimeout(() => left.abort(), exportMs);
  const end = (): void => {
    clearTimeout(longest);
    slot[Symbol.dispose]();
    left.abort();
  };
  const ended = keySignalOf(request, reply, context);
  if (isClosed(reply)) end();
  reply.raw.once('close', end);
  const signal = AbortSignal.any([left.signal, ended, context.stopping]);
  const events = context.runner.export(wanted, { signal })[Symbol.asyncIterator]();
  const { manifest, key, signature } = headerFrom(await next(events, ended));
  const written = writeExport(manifest, { key, signature, manifestBytes: manifest.length }, blocksOf(events, ended));
  void reply
    .type(exportMediaType)
    .header('content-disposition', `attachment; filename="${wanted.source.value}.soulbox"`);
  // A file has secrets of the sandbox, so nobody on the way may keep it.
  void reply.header('cache-control', 'no-store');
  // A reader that takes nothing never hears of an error.
  signal.addEventListener('abort', () => reply.raw.destroy(), { once: true });
  const body = Readable.from(
    whileRead(written, () => left.abort()),
    { objectMode: false, highWaterMark: 1 },
  );
  return await reply.send(body);
}

async function next(events: AsyncIterator<ExportResponse>, ended: AbortSignal): Promise<ExportResponse | undefined> {
  try {
    const result = await events.next();
    return result.done === true ? undefined : result.value;
  } catch (thrown) {
    throw ended.aborted ? ended.reason : errorFromConnect(thrown);
  }
}

function headerFrom(first: ExportResponse | undefined) {
  if (first?.content.case === 'header') return first.content.value;
  throw new SoulBoxError('internal', 'An export began without a header.');
}

async function* blocksOf(events: AsyncIterator<ExportResponse>, ended: AbortSignal): AsyncGenerator<Uint8Array> {
  for (let event = await next(events, ended); event !== undefined; event = await next(events, ended))
    if (event.content.case === 'block') yield event.content.value;
}

/** Calls `stop` when a piece is not taken for a minute. */
async function* whileRead(pieces: AsyncIterable<Uint8Array>, stop: () => void): AsyncGenerator<Uint8Array> {
  const idle = setTimeout(stop, exportReaderIdleMs);
  try {
    for await (const piece of pieces) {
      idle.refresh();
      yield piece;
    }
  } finally {
    clearTimeout(idle);
  }
}
