import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { errorFromNode, errorFromUnknown, SoulBoxError } from '@soulbox/base';
import { packTree, unpackTree } from '@soulbox/vault/tar';
import type { TreeSource } from '@soulbox/vault/tar';
import type { BackupPart } from './manifest.ts';

/** Names in a folder that are packed together. */
export type PartSource = TreeSource;

/** Writes one part and flushes it. Throws `disk_full`. */
export async function writePart(
  source: PartSource,
  path: string,
  signal: AbortSignal,
): Promise<Pick<BackupPart, 'sizeBytes' | 'sha256'>> {
  const digest = createDigest();
  try {
    const content = Readable.from(packTree(source, { signal, compresses: true }), { objectMode: false });
    await pipeline(content, digest.stream, createWriteStream(path, { flags: 'wx', mode: 0o600 }), { signal });
    await flush(path);
  } catch (error) {
    throw errorFromNode(error, `${path} could not be written.`);
  }
  return { sizeBytes: (await stat(path)).size, sha256: digest.value() };
}

/**
 * Unpacks one part below `target`. Throws `backup_unusable` when the file differs from what was written, and
 * `disk_full`.
 */
export async function readPart(path: string, part: BackupPart, target: string, signal: AbortSignal): Promise<void> {
  const digest = createDigest();
  let failure: unknown;
  try {
    const file = createReadStream(path);
    file.on('error', (error) => digest.stream.destroy(error));
    await unpackTree(target, file.pipe(digest.stream), { signal, compresses: true });
  } catch (error) {
    signal.throwIfAborted();
    if (errorFromUnknown(error).reason === 'disk_full')
      throw new SoulBoxError('disk_full', `There is no space left for the part ${part.name} of the backup.`);
    failure = error;
  }
  if (failure === undefined && digest.value() === part.sha256) return;
  throw new SoulBoxError('backup_unusable', `The part ${part.name} of the backup is damaged (${part.file}).`, {
    cause: failure,
  });
}

interface Digest {
  readonly stream: Transform;
  value(): string;
}

function createDigest(): Digest {
  const hash = createHash('sha256');
  const stream = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      done(undefined, chunk);
    },
  });
  let hex: string | undefined;
  return { stream, value: () => (hex ??= hash.digest('hex')) };
}

async function flush(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
