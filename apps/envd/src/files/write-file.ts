import { constants } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { posix } from 'node:path';
import { isNodeError, SoulBoxError } from '@soulbox/base';
import { makeDirectories } from '../filesystem/make-directories.ts';
import { metadataPrefix } from '../filesystem/entry-info.ts';
import { replaceAttributes } from '../sys/extended-attributes.ts';
import type { User } from '../users/users.ts';
import { openRegular } from '../sys/open-regular.ts';

/** The answer of an upload for each file. */
export interface WrittenFile {
  readonly path: string;
  readonly name: string;
  readonly type: 'file';
  /** Present only if there is any. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Bytes collected before a write, to reduce switches to the thread pool. */
const batchBytes = 512 * 1024;

/**
 * Writes a file from a stream in constant memory. Creates missing parents and empties an existing file first.
 * Everything that it creates belongs to the user. After an error the data written so far stays, as with an interrupted
 * copy. Rejects with disk_full, bad_path for anything except a regular file, capability_missing for metadata on a file
 * system without it, and the errors of the stream.
 */
export async function writeFileFrom(
  path: string,
  user: User,
  chunks: AsyncIterable<Uint8Array>,
  metadata: Readonly<Record<string, string>>,
): Promise<WrittenFile> {
  await makeDirectories(posix.dirname(path), user);
  const { file, stats } = await openRegular(path, constants.O_WRONLY | constants.O_CREAT, 0o666);
  try {
    // Skipped if unnecessary, because each change would be an event for watchers.
    if (stats.size > 0) await file.truncate(0);
    if (stats.uid !== user.uid || stats.gid !== user.gid) await file.chown(user.uid, user.gid);
    await writeChunks(file, chunks);
    tag(file, metadata);
  } finally {
    await file.close();
  }
  const written = { path, name: posix.basename(path), type: 'file' as const };
  return Object.keys(metadata).length === 0 ? written : { ...written, metadata };
}

function tag(file: FileHandle, metadata: Readonly<Record<string, string>>): void {
  try {
    replaceAttributes(file.fd, metadataPrefix, metadata);
  } catch (error) {
    if (!isNodeError(error) || error.code !== 'EOPNOTSUPP') throw error;
    throw new SoulBoxError('capability_missing', 'The file system of this sandbox does not support metadata.', {
      cause: error,
    });
  }
}

async function writeChunks(file: FileHandle, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  let batch: Uint8Array[] = [];
  let sizeBytes = 0;
  let position = 0;
  const flush = async (): Promise<void> => {
    if (sizeBytes === 0) return;
    await writeFully(file, batch, sizeBytes, position);
    position += sizeBytes;
    batch = [];
    sizeBytes = 0;
  };
  for await (const chunk of chunks) {
    batch.push(chunk);
    sizeBytes += chunk.length;
    if (sizeBytes >= batchBytes) await flush();
  }
  await flush();
}

async function writeFully(
  file: FileHandle,
  batch: readonly Uint8Array[],
  sizeBytes: number,
  position: number,
): Promise<void> {
  const { bytesWritten } = await file.writev(batch, position);
  if (bytesWritten === sizeBytes) return;
  // A short write is caused by a nearly full disk or a signal. The next write shows which.
  const rest = Buffer.concat(batch).subarray(bytesWritten);
  for (let offset = 0; offset < rest.length;) {
    offset += (await file.write(rest, offset, rest.length - offset, position + bytesWritten + offset)).bytesWritten;
  }
}
