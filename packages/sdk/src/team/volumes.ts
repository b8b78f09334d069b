import { callApi, callUnlessGone, chunksOf, openApi, segment } from '../api.ts';
import type { Schemas } from '../api.ts';
import { connectionFrom } from '../config.ts';
import type { ConnectionOptions } from '../config.ts';
import { upload } from '../upload.ts';

/** A volume, as the REST API describes it. `sizeMb` is null if only the limit of the team counts. */
export type VolumeInfo = Schemas['Volume'];

/** A file, folder or link in a volume. `mode` has the permissions. */
export type VolumeEntry = Schemas['VolumeEntryStat'];

/** What a volume contains. `bytes` count against `sizeMb`, which is null if only the limit of the team counts. */
export type VolumeUsage = Schemas['VolumeUsage'];

/** The owner, group and permissions of a file or folder. */
export interface VolumeAttributes {
  /** Default: unchanged, or 1000 for what is new. */
  readonly uid?: number | undefined;
  /** Default: unchanged, or 1000 for what is new. */
  readonly gid?: number | undefined;
  /** Permissions, 0 to 0o7777. Default: unchanged, or 0o644 for a new file and 0o755 for a new folder. */
  readonly mode?: number | undefined;
}

/** The options of a new volume. */
export interface NewVolumeOptions extends ConnectionOptions {
  /** MiB that its contents may have. Default: only the limit of the team. */
  readonly sizeMb?: number | undefined;
  /** Id or name of a volume: the new one begins with what this has now, and shares the data. Default: it is empty. */
  readonly from?: string | undefined;
  /** Whether nothing in the copy can be changed: a snapshot. Only with `from`. Default: false. */
  readonly readOnly?: boolean | undefined;
  /** A repetition with the same key creates no second volume. Default: none. */
  readonly idempotencyKey?: string | undefined;
}

/** The options of a write. */
export interface VolumeWriteOptions extends VolumeAttributes, ConnectionOptions {
  /** Whether a file that exists gets other contents. If not, the call throws `file_exists`. Default: true. */
  readonly force?: boolean | undefined;
}

/** The options of a new folder. */
export interface VolumeFolderOptions extends VolumeAttributes, ConnectionOptions {
  /** Also makes missing parents; a folder that exists is no error. Default: false. */
  readonly force?: boolean | undefined;
}

/** The options of a rename. */
export interface VolumeRenameOptions extends ConnectionOptions {
  /** Whether a file or an empty folder at the new path is replaced. If not, the call throws `file_exists`. Default: true. */
  readonly force?: boolean | undefined;
}

/** The options of a read. */
export interface VolumeReadOptions extends ConnectionOptions {
  /** The first byte. Default: 0. */
  readonly start?: number | undefined;
  /** The byte behind the last one. Default: the end of the file. */
  readonly end?: number | undefined;
}

const pathOf = (volume: string): string => `/volumes/${segment(volume)}`;
const contentOf = (volume: string, what: 'dir' | 'path' | 'file' | 'rename'): string =>
  `/volumecontent/${segment(volume)}/${what}`;

/**
 * Volumes of the team, and the files in them: what the class `Volume` of e2b 2.51.0 does, with the API key instead of a
 * token. A volume is named by its id or its name, a path begins at its root. docs/volumes.md has promises and limits.
 */
export const volumes = {
  /** Creates a volume. Errors: `volume_exists`, `bad_request`, `limit_exceeded`, `volume_not_found` for `from`. */
  async create(name: string, options: NewVolumeOptions = {}): Promise<VolumeInfo> {
    const { sizeMb, from, readOnly, idempotencyKey, ...connection } = options;
    const body = { name, sizeMb, from, readOnly };
    const call = { method: 'POST', path: '/volumes', body, idempotencyKey } as const;
    return infoOf((await callApi<Schemas['VolumeAndToken']>(connectionFrom(connection), call)).body);
  },

  /** Returns a volume by its id or name. Throws `volume_not_found`. */
  async get(volume: string, options?: ConnectionOptions): Promise<VolumeInfo> {
    return infoOf((await callApi<Schemas['VolumeAndToken']>(connectionFrom(options), { path: pathOf(volume) })).body);
  },

  /** Lists the volumes of the team, oldest first. */
  async list(options?: ConnectionOptions): Promise<VolumeInfo[]> {
    return (await callApi<VolumeInfo[]>(connectionFrom(options), { path: '/volumes' })).body;
  },

  /** Returns what a volume contains, by its id or name. Throws `volume_not_found`. */
  async usage(volume: string, options?: ConnectionOptions): Promise<VolumeUsage> {
    return (await callApi<VolumeUsage>(connectionFrom(options), { path: `${pathOf(volume)}/usage` })).body;
  },

  /** Deletes a volume with everything in it. False if it does not exist. */
  async delete(volume: string, options?: ConnectionOptions): Promise<boolean> {
    return await callUnlessGone(connectionFrom(options), { method: 'DELETE', path: pathOf(volume) });
  },

  /** Lists a folder, `depth` levels deep (1 to 64, default 1). Errors: `file_not_found`, `not_a_directory`. */
  async listFiles(
    volume: string,
    path: string,
    options: ConnectionOptions & { readonly depth?: number | undefined } = {},
  ): Promise<VolumeEntry[]> {
    const { depth, ...connection } = options;
    const call = { path: contentOf(volume, 'dir'), query: { path, depth } };
    return (await callApi<VolumeEntry[]>(connectionFrom(connection), call)).body;
  },

  /** Describes a file, folder or link. Throws `file_not_found`. */
  async stat(volume: string, path: string, options?: ConnectionOptions): Promise<VolumeEntry> {
    const call = { path: contentOf(volume, 'path'), query: { path } };
    return (await callApi<VolumeEntry>(connectionFrom(options), call)).body;
  },

  /** Makes a folder. Errors: `file_exists`, `file_not_found` for a missing parent. */
  async makeDir(volume: string, path: string, options: VolumeFolderOptions = {}): Promise<VolumeEntry> {
    const { uid, gid, mode, force, ...connection } = options;
    const query = { path, uid, gid, mode, force: textOf(force) };
    const call = { method: 'POST', path: contentOf(volume, 'dir'), query } as const;
    return (await callApi<VolumeEntry>(connectionFrom(connection), call)).body;
  },

  /** Sets owner, group and permissions. Throws `file_not_found`. */
  async setAttributes(
    volume: string,
    path: string,
    attributes: VolumeAttributes,
    options?: ConnectionOptions,
  ): Promise<VolumeEntry> {
    const { uid, gid, mode } = attributes;
    const call = {
      method: 'PATCH',
      path: contentOf(volume, 'path'),
      query: { path },
      body: { uid, gid, mode },
    } as const;
    return (await callApi<VolumeEntry>(connectionFrom(options), call)).body;
  },

  /** Removes a file, or a folder with everything in it. False if the path or the volume does not exist. */
  async remove(volume: string, path: string, options?: ConnectionOptions): Promise<boolean> {
    const call = { method: 'DELETE', path: contentOf(volume, 'path'), query: { path } } as const;
    return await callUnlessGone(connectionFrom(options), call);
  },

  /**
   * Renames or moves a file or folder within the volume, at once for all who see it. Errors: `file_not_found`,
   * `file_exists` for a folder that is not empty, `bad_path` for a folder into itself.
   */
  async rename(volume: string, path: string, to: string, options: VolumeRenameOptions = {}): Promise<VolumeEntry> {
    const { force, ...connection } = options;
    const call = {
      method: 'POST',
      path: contentOf(volume, 'rename'),
      query: { path, to, force: textOf(force) },
    } as const;
    return (await callApi<VolumeEntry>(connectionFrom(connection), call)).body;
  },

  /**
   * Reads a file, or a range of it, as it arrives. Errors: `file_not_found`, `bad_path` for a folder,
   * `range_not_satisfiable`.
   */
  async *read(volume: string, path: string, options: VolumeReadOptions = {}): AsyncGenerator<Uint8Array> {
    const { start = 0, end, ...connection } = options;
    if (end !== undefined && end <= start) return;
    const isWhole = start === 0 && end === undefined;
    const range = isWhole ? {} : { range: `bytes=${start}-${end === undefined ? '' : end - 1}` };
    const call = { path: contentOf(volume, 'file'), query: { path }, isStream: true, isMadeOnce: true };
    const headers = { ...connection.headers, ...range };
    yield* chunksOf(await openApi(connectionFrom({ ...connection, headers }), call));
  },

  /** Reads a whole file as text in UTF-8. Errors: as `read`. */
  async readText(volume: string, path: string, options?: ConnectionOptions): Promise<string> {
    const decoder = new TextDecoder();
    let text = '';
    for await (const chunk of volumes.read(volume, path, options)) text += decoder.decode(chunk, { stream: true });
    return text + decoder.decode();
  },

  /**
   * Writes a file: it has its new contents when all have arrived, or is unchanged. The call is made once, because a stream
   * can be read once. Errors: `file_not_found` for a missing folder, `file_exists`, `limit_exceeded`, `disk_full`.
   */
  async write(
    volume: string,
    path: string,
    data: string | Uint8Array<ArrayBuffer> | Blob | AsyncIterable<Uint8Array>,
    options: VolumeWriteOptions = {},
  ): Promise<VolumeEntry> {
    const { uid, gid, mode, force, ...connection } = options;
    const query = { path, uid, gid, mode, force: textOf(force) };
    const source = typeof data === 'string' || data instanceof Uint8Array ? new Blob([data]) : data;
    const call = { method: 'PUT', path: contentOf(volume, 'file'), query } as const;
    return await upload<VolumeEntry>(connectionFrom(connection), call, source, 'application/octet-stream');
  },
};

/** The token is for clients without the key. */
function infoOf({ token: _, ...info }: Schemas['VolumeAndToken']): VolumeInfo {
  return info;
}

const textOf = (flag: boolean | undefined): string | undefined => (flag === undefined ? undefined : String(flag));
