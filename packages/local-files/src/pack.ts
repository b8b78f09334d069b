import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { mkdtemp, readFile, rm, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { findEntries } from './find-entries.ts';
import { readIgnoredPaths } from './ignored-paths.ts';
import { tar } from './tar.ts';

/** An archive in a temporary file. */
export interface PackedFiles extends AsyncDisposable {
  /** SHA-256 of paths, modes and contents, in hexadecimal. */
  readonly hash: string;
  /** The compressed archive. */
  read(): Promise<Blob>;
}

/**
 * Packs a file or folder of a build: with its path from the root on, but without what `.dockerignore` and `ignored`
 * name. Throws LocalFilesError.
 */
export async function packFiles(root: string, source: string, ignored: readonly string[]): Promise<PackedFiles> {
  const entries = await findEntries(root, source, await readIgnoredPaths(root, ignored));
  const folder = await mkdtemp(join(tmpdir(), 'soulbox-build-'));
  const file = join(folder, 'files.tar.gz');
  const remove = async (): Promise<void> => {
    await rm(file, { force: true });
    await rmdir(folder);
  };
  const hash = createHash('sha256');
  async function* hashed(): AsyncGenerator<Buffer> {
    for await (const bytes of tar(root, entries)) {
      hash.update(bytes);
      yield bytes;
    }
  }
  try {
    await pipeline(Readable.from(hashed()), createGzip(), fs.createWriteStream(file, { mode: 0o600 }));
  } catch (error) {
    await remove();
    throw error;
  }
  return { hash: hash.digest('hex'), read: async () => await openBlob(file), [Symbol.asyncDispose]: remove };
}

/** Not every runtime reads a blob from a file when it is needed. */
export async function openBlob(file: string): Promise<Blob> {
  const { openAsBlob } = fs as Partial<Pick<typeof fs, 'openAsBlob'>>;
  return openAsBlob === undefined ? new Blob([await readFile(file)]) : await openAsBlob(file);
}
