import type { Schemas } from '../api.ts';
import { apiHeaders, apiUrlOf, chunksOf, errorFromResponse, openApi, segment } from '../api.ts';
import type { Connection, ConnectionOptions } from '../config.ts';
import { CallError, noRetries } from '@soulbox/client';
import { rethrow, SoulBoxError } from '../error.ts';
import { snapshotFromWire } from './copies.ts';
import type { SnapshotInfo } from './copies.ts';

/** The options of an export. */
export interface ExportOptions extends ConnectionOptions {
  /**
   * Also the saved memory, so that programs continue where they were. Fails for a snapshot that has only files.
   * Default: false.
   */
  readonly memory?: boolean | undefined;
}

/** The options of an import. */
export interface ImportOptions extends ConnectionOptions {
  /** The name of the new snapshot, `[team/]name[:tag]`. Default: no name. */
  readonly name?: string | undefined;
  /**
   * What happens to saved memory. `auto`: it is kept if it can be restored on this server. `required`: the import fails
   * with `state_incompatible` if it cannot. `never`: it is left out. Default: `auto`.
   */
  readonly memory?: 'auto' | 'required' | 'never' | undefined;
}

/** A snapshot that was made from a file. */
export interface ImportedSnapshot extends SnapshotInfo {
  /** Whether its sandboxes continue from saved memory. Otherwise they boot from its files. */
  readonly hasMemory: boolean;
  /** Why the memory of the file was left out. Empty: it was not, or there was none. */
  readonly memoryLeftOut: string;
  /**
   * Settings of the network that are not in the file, because they contain secrets. If there are any, sandboxes of the
   * snapshot may connect to nothing until their network is set. Normally empty.
   */
  readonly settingsLeftOut: readonly string[];
}

/** @internal */
export async function* exportFile(
  connection: Connection,
  source: 'sandboxes' | 'snapshots',
  id: string,
  { memory = false }: ExportOptions,
): AsyncGenerator<Uint8Array> {
  // Each export saves the sandbox again and cuts its connections, so it is not repeated.
  const path = `/${source}/${segment(id)}/export`;
  const call = { path, query: { memory: String(memory) }, isStream: true, isMadeOnce: true };
  yield* chunksOf(await openApi(connection, call));
}

/** A server that takes in a large file does not answer for a while. The CLI has the same limit. */
const importIdleMs = 600_000;

/** @internal */
export async function importFile(
  connection: Connection,
  source: AsyncIterable<Uint8Array> | Blob,
  { name, memory }: ImportOptions,
): Promise<ImportedSnapshot> {
  const { target, host, options } = connection;
  const call = { name: 'POST /imports', isSafeToRepeat: false };
  const idle = createIdleLimit(importIdleMs);
  const signal = options.signal === undefined ? idle.signal : AbortSignal.any([options.signal, idle.signal]);
  // Its size is not known, so only a standstill ends it. The source can be read once, and so the call is made once.
  const attempt = async (ended: AbortSignal | undefined): Promise<Schemas['ImportedSnapshot']> => {
    const release = await target.take(host.streamSlots, ended);
    try {
      const response = await connection.fetch(apiUrlOf(connection, { path: '/imports', query: { name, memory } }), {
        method: 'POST',
        headers: { ...apiHeaders(connection), 'content-type': 'application/vnd.soulbox.export' },
        ...bodyOf(source, idle.touch),
        ...(ended === undefined ? {} : { signal: ended }),
      });
      if (!response.ok) throw await errorFromResponse(response, `The server returned status ${response.status}.`);
      return (await response.json()) as Schemas['ImportedSnapshot'];
    } finally {
      release();
    }
  };
  const body = await target
    .call(call, attempt, { signal, retry: noRetries, attemptTimeoutMs: 0 })
    .catch((thrown: unknown) => {
      const cause = thrown instanceof CallError && thrown.cause instanceof SoulBoxError ? thrown.cause : thrown;
      return rethrow(cause);
    })
    .finally(idle.end);
  const { hasMemory, memoryLeftOut, settingsLeftOut } = body;
  return { ...snapshotFromWire(body), hasMemory, memoryLeftOut, settingsLeftOut };
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

function createIdleLimit(idleMs: number): IdleLimit {
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
