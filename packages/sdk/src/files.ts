import { Code, ConnectError } from '@connectrpc/connect';
import { FileType as WireFileType } from '@soulbox/contract/filesystem';
import type { EntryInfo as WireEntry } from '@soulbox/contract/filesystem';
import { chunksOf, errorFromResponse } from './api.ts';
import type { Envd, UserOptions } from './envd.ts';
import { errorFrom, rethrow, SoulBoxError } from './error.ts';
import { watchDir } from './watch.ts';
import type { FileEvent, WatchHandle, WatchOptions } from './watch.ts';

/**
 * What a path is. `other` is a device, a pipe or a socket. A symbolic link has the type of its target, if that exists.
 */
export type FileType = 'file' | 'dir' | 'symlink' | 'other';

/**
 * One file, folder or link, with the members of e2b 2.51.0. For a symbolic link, `type` and `mode` are those of its
 * target; everything else describes the link itself.
 */
export interface EntryInfo {
  /** The last part of the path. */
  readonly name: string;
  /** What the path is. Here as a word; e2b 2.51.0 has an enumeration. */
  readonly type: FileType;
  /** The absolute path. */
  readonly path: string;
  /** The size, in bytes. */
  readonly size: number;
  /** The permission bits, such as 0o644. */
  readonly mode: number;
  /** Type and permissions as text, such as `-rw-r--r--`, `drwxr-xr-x` or `Lrwxrwxrwx`. */
  readonly permissions: string;
  /** The name of the user that owns it, or the number of a user without a name. */
  readonly owner: string;
  /** The name of its group, or the number of a group without a name. */
  readonly group: string;
  /** The time of the last change of its content, to the millisecond. Undefined if the sandbox does not say it. */
  readonly modifiedTime: Date | undefined;
  /** The absolute path to which a symbolic link leads, or that of a broken link itself. Undefined for anything else. */
  readonly symlinkTarget: string | undefined;
  /** What `files.write` stored with the file. Empty: nothing. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** A written file. */
export interface WriteInfo {
  /** The last part of the path. */
  readonly name: string;
  /** Always `file`. */
  readonly type: FileType;
  /** The absolute path. */
  readonly path: string;
}

/**
 * What can be written into a file. Text is written as UTF-8. A stream is sent as it arrives, except in browsers, which
 * collect it first.
 */
export type FileData = string | ArrayBuffer | Uint8Array | Blob | ReadableStream<Uint8Array>;

/** A file to write. */
export interface WriteEntry {
  /** Where to write it. A relative path begins at the home of the user. */
  readonly path: string;
  /** Its whole content. */
  readonly data: FileData;
}

/** The options of a write. */
export interface WriteOptions extends UserOptions {
  /**
   * Stored with each file, and replaces what was stored before: printable ASCII, names of at most 246 characters in
   * lower case, 4096 bytes in all, as in e2b 2.51.0. Default: nothing.
   */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

/**
 * Files of one sandbox, with the calls of e2b 2.51.0. Relative paths begin at the home of the user, and `~` is the
 * home. Every call can throw `bad_path`, `forbidden`, `link_loop`, `unknown_user` and `sandbox_not_found`.
 */
export interface Files {
  /** Reads a whole file as UTF-8. Invalid bytes become U+FFFD. Throws `file_not_found`, and `bad_path` for a folder. */
  read(path: string, options?: UserOptions & { readonly format?: 'text' }): Promise<string>;
  /** Reads the bytes of a whole file. */
  read(path: string, options: UserOptions & { readonly format: 'bytes' }): Promise<Uint8Array<ArrayBuffer>>;
  /** Reads a whole file as a `Blob`, whose type is the media type that the sandbox found. */
  read(path: string, options: UserOptions & { readonly format: 'blob' }): Promise<Blob>;
  /**
   * Reads a file as it arrives, with only one part in memory. `requestTimeoutMs` limits the time until the response
   * begins. To cancel the stream ends the download.
   */
  read(path: string, options: UserOptions & { readonly format: 'stream' }): Promise<ReadableStream<Uint8Array>>;
  /**
   * Writes a file and creates missing folders. An existing file is replaced. The call is made once, because a stream
   * cannot be sent again. After an error, the file may have part of the content. Throws `disk_full`, and `bad_path` for
   * a folder.
   */
  write(path: string, data: FileData, options?: WriteOptions): Promise<WriteInfo>;
  /** Writes several files, up to eight at a time. After a failure, some may be written, and no further one will be. */
  write(files: readonly WriteEntry[], options?: WriteOptions): Promise<WriteInfo[]>;
  /** The same as `write` of a list. */
  writeFiles(files: readonly WriteEntry[], options?: WriteOptions): Promise<WriteInfo[]>;
  /**
   * Lists a folder in the order of a lexical walk. `depth` is the number of levels. Default: 1, its direct entries.
   * Links below it are not followed. Errors: `file_not_found`, `not_a_directory`, `limit_exceeded` (more than 100,000
   * entries).
   */
  list(path: string, options?: UserOptions & { readonly depth?: number | undefined }): Promise<EntryInfo[]>;
  /** Creates a folder and its parents, owned by the user. False if it exists. Throws `not_a_directory` for a file. */
  makeDir(path: string, options?: UserOptions): Promise<boolean>;
  /**
   * Renames or moves a path and creates the parents of the new one. An existing file there is replaced. Throws
   * `file_not_found`.
   */
  rename(oldPath: string, newPath: string, options?: UserOptions): Promise<EntryInfo>;
  /** Removes a path with all its contents. A missing path is not an error. */
  remove(path: string, options?: UserOptions): Promise<void>;
  /** Whether a path exists. A broken link exists. */
  exists(path: string, options?: UserOptions): Promise<boolean>;
  /** Describes a path. For a link, see {@link EntryInfo}. Throws `file_not_found`. */
  getInfo(path: string, options?: UserOptions): Promise<EntryInfo>;
  /**
   * Calls `onEvent` for every change in a folder until `stop` or `timeoutMs`. Resolves when changes are being watched.
   * The next event waits for what `onEvent` returns; an error that it throws ends the watch. A lost connection ends the
   * watch, too. Errors: `file_not_found`, `not_a_directory`.
   */
  watchDir(
    path: string,
    onEvent: (event: FileEvent) => void | Promise<void>,
    options?: WatchOptions,
  ): Promise<WatchHandle>;
}

const writesAtOnce = 8;

type Format = 'text' | 'bytes' | 'blob' | 'stream';

/** @internal */
export function createFiles(envd: Envd): Files {
  async function read(path: string, options: UserOptions & { readonly format?: Format } = {}): Promise<unknown> {
    const { format = 'text' } = options;
    if (format === 'stream') return await openStream(path, options);
    const response = await openFile(path, options, envd.signal(options));
    try {
      if (format === 'blob') return await response.blob();
      return format === 'bytes' ? new Uint8Array(await response.arrayBuffer()) : await response.text();
    } catch (error) {
      throw errorFrom(error);
    }
  }
  async function openFile(path: string, options: UserOptions, signal: AbortSignal | undefined): Promise<Response> {
    const call = { method: 'GET', url: fileUrl(envd, path, options), ...(signal === undefined ? {} : { signal }) };
    const response = await envd.calls.open(call).catch(rethrow);
    if (response.ok) return response;
    throw await fileError(response, path);
  }
  async function openStream(path: string, options: UserOptions): Promise<ReadableStream<Uint8Array>> {
    // After the first bytes, the time of one request no longer counts.
    const connecting = new AbortController();
    const limit = envd.signal(options);
    const abort = (): void => connecting.abort(limit?.reason);
    if (limit?.aborted === true) abort();
    limit?.addEventListener('abort', abort);
    try {
      const response = await openFile(path, options, connecting.signal);
      options.signal?.addEventListener('abort', () => connecting.abort(options.signal?.reason));
      const chunks = chunksOf(response);
      return new ReadableStream<Uint8Array>(
        {
          async pull(controller) {
            const next = await chunks.next();
            if (next.done === true) controller.close();
            else controller.enqueue(next.value);
          },
          async cancel() {
            await chunks.return(undefined);
            connecting.abort();
          },
        },
        { highWaterMark: 0 },
      );
    } finally {
      limit?.removeEventListener('abort', abort);
    }
  }
  async function writeOne({ path, data }: WriteEntry, options: WriteOptions): Promise<WriteInfo> {
    const { metadata = {} } = options;
    const named = Object.entries(metadata).map(([name, value]): [string, string] => [`x-metadata-${name}`, value]);
    const signal = envd.signal(options);
    // A stream cannot be sent again, so the call is made once.
    const response = await envd
      .send(fileUrl(envd, path, options), {
        method: 'POST',
        headers: { ...Object.fromEntries(named), 'content-type': 'application/octet-stream' },
        ...(await bodyFrom(data)),
        ...(signal === undefined ? {} : { signal }),
      })
      .catch(rethrow);
    if (!response.ok) throw await fileError(response, path);
    const [written] = (await response.json().catch(rethrow)) as { name: string; path: string }[];
    if (written === undefined)
      throw new SoulBoxError(`The response does not say where ${path} was written.`, {
        ...{ code: 'internal', reason: 'invalid_response' },
      });
    return { name: written.name, path: written.path, type: 'file' };
  }
  async function writeAll(entries: readonly WriteEntry[], options: WriteOptions = {}): Promise<WriteInfo[]> {
    const written: WriteInfo[] = [];
    const errors: SoulBoxError[] = [];
    const queue = [...entries.entries()];
    const work = async (): Promise<void> => {
      for (let next = queue.shift(); next !== undefined && errors.length === 0; next = queue.shift())
        try {
          written[next[0]] = await writeOne(next[1], options);
        } catch (error) {
          errors.push(errorFrom(error));
        }
    };
    // After a failure, the others end before the caller learns it: nothing is written later.
    await Promise.all(Array.from({ length: writesAtOnce }, work));
    const [error] = errors;
    if (error !== undefined) throw error;
    return written;
  }
  const write = async (
    first: string | readonly WriteEntry[],
    second?: FileData | WriteOptions,
    third: WriteOptions = {},
  ): Promise<unknown> =>
    typeof first === 'string'
      ? await writeOne({ path: first, data: second as FileData }, third)
      : await writeAll(first, second as WriteOptions | undefined);
  return {
    read: read as Files['read'],
    write: write as Files['write'],
    writeFiles: writeAll,
    async list(path, options = {}) {
      const { depth = 1 } = options;
      const { entries } = await envd.filesystem.listDir({ path, depth }, envd.callOptions(options)).catch(rethrow);
      return entries.map(entryFromWire);
    },
    async makeDir(path, options) {
      try {
        await envd.filesystem.makeDir({ path }, envd.callOptions(options));
        return true;
      } catch (error) {
        if (error instanceof ConnectError && error.code === Code.AlreadyExists) return false;
        throw errorFrom(error);
      }
    },
    async rename(source, destination, options) {
      const call = envd.filesystem.move({ source, destination }, envd.callOptions(options));
      return entryFromWire((await call.catch(rethrow)).entry);
    },
    async remove(path, options) {
      await envd.filesystem.remove({ path }, envd.callOptions(options)).catch(rethrow);
    },
    async exists(path, options) {
      try {
        await envd.filesystem.stat({ path }, envd.callOptions(options));
        return true;
      } catch (thrown) {
        const error = errorFrom(thrown);
        if (error.code === 'not_found' && error.reason !== 'sandbox_not_found') return false;
        throw error;
      }
    },
    async getInfo(path, options) {
      return entryFromWire((await envd.filesystem.stat({ path }, envd.callOptions(options)).catch(rethrow)).entry);
    },
    async watchDir(path, onEvent, options = {}) {
      return await watchDir(envd, path, onEvent, options);
    },
  };
}

const types: Readonly<Record<WireFileType, FileType>> = {
  [WireFileType.UNSPECIFIED]: 'other',
  [WireFileType.FILE]: 'file',
  [WireFileType.DIRECTORY]: 'dir',
  [WireFileType.SYMLINK]: 'symlink',
};

/** @internal */
export function entryFromWire(entry: WireEntry | undefined): EntryInfo {
  if (entry === undefined)
    throw new SoulBoxError('The response describes no file.', { code: 'internal', reason: 'invalid_response' });
  const { name, path, mode, permissions, owner, group, symlinkTarget, metadata, modifiedTime } = entry;
  const time =
    modifiedTime === undefined
      ? undefined
      : new Date(Number(modifiedTime.seconds) * 1000 + Math.floor(modifiedTime.nanos / 1e6));
  return {
    ...{ name, path, mode, permissions, owner, group, symlinkTarget, metadata: { ...metadata }, modifiedTime: time },
    // A newer server may know more types.
    type: (types as Record<number, FileType | undefined>)[entry.type] ?? 'other',
    size: Number(entry.size),
  };
}

function fileUrl(envd: Envd, path: string, { user }: UserOptions): string {
  const query = new URLSearchParams({ path, ...(user === undefined ? {} : { username: user }) });
  return `${envd.url}/files?${query.toString()}`;
}

async function bodyFrom(data: FileData): Promise<RequestInit> {
  if (!(data instanceof ReadableStream)) return { body: data as NonNullable<RequestInit['body']> };
  if ('document' in globalThis) return { body: await new Response(data).blob() };
  // The streams API of fetch needs it, and the types of Node do not know it in every version.
  return { body: data, duplex: 'half' };
}

/** 502: paused, closed or, as far as this program can know, gone. */
const reasons: Readonly<Record<number, string>> = { 502: 'unreachable', 507: 'disk_full' };

async function fileError(response: Response, path: string): Promise<SoulBoxError> {
  return await errorFromResponse(response, `${path}: the sandbox returned status ${response.status}.`, reasons);
}
