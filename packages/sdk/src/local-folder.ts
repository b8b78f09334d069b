import { SoulBoxError } from './error.ts';

/** Files for a `COPY`, as one archive. */
export interface PackedFiles extends AsyncDisposable {
  /** SHA-256 of paths, modes and contents, as 64 hexadecimal digits. The server caches by it. */
  readonly hash: string;
  /** Reads the archive: tar, with or without gzip. */
  read(): Promise<Blob>;
}

/**
 * A folder on this machine, for `templates.build` and `sandbox.run`. `folder` of `soulbox/node` makes one in Node.js,
 * Bun and Deno.
 */
export interface LocalFolder {
  /** Lists the files that a run needs: relative paths with slashes. */
  list(): Promise<readonly string[]>;
  /** Reads one of them. */
  read(path: string): Promise<Blob>;
  /** Packs a file or folder, by its path in this folder, for a `COPY`. */
  pack(source: string): Promise<PackedFiles>;
}

/** Throws `bad_request` for a fault of the files. @internal */
export function rethrowLocal(error: unknown): never {
  const isFault = error instanceof Error && error.name === 'LocalFilesError';
  if (!isFault) throw error;
  throw new SoulBoxError(error.message, { code: 'invalid_argument', reason: 'bad_request', cause: error });
}
