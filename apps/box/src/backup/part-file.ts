import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createZstdCompress, createZstdDecompress } from 'node:zlib';
import { CommandError, errorFromNode, SoulBoxError } from '@soulbox/base';
import type { BackupPart } from './manifest.ts';

/** Names in a folder that are packed together. */
export interface PartSource {
  readonly directory: string;
  readonly names: readonly string[];
}

/**
 * Options that keep owners, modes, extended attributes, hard links and holes. GNU tar supports all of them and is on
 * every host.
 */
const keepAll = ['--format=posix', '--numeric-owner', '--xattrs', '--xattrs-include=*', '--sparse'];

/** Messages of tar about a full disk. The third occurs when part of a block still fitted. */
const noRoom = /No space left on device|Disk quota exceeded|Wrote only \d+ of \d+ bytes/;

/** Writes one part and flushes it. Throws `disk_full`. */
export async function writePart(
  source: PartSource,
  path: string,
  signal: AbortSignal,
): Promise<Pick<BackupPart, 'sizeBytes' | 'sha256'>> {
  const names = source.names.map((name) => `./${name}`);
  const tar = startTar([
    '--create',
    '--hole-detection=seek',
    ...keepAll,
    '--directory',
    source.directory,
    '--',
    ...names,
  ]);
  tar.child.stdin.end();
  const digest = createDigest();
  try {
    const file = createWriteStream(path, { flags: 'wx', mode: 0o600 });
    await Promise.all([pipeline(tar.child.stdout, createZstdCompress(), digest.stream, file, { signal }), tar.ended]);
    await flush(path);
  } catch (error) {
    tar.child.kill('SIGKILL');
    throw errorFromNode(error, `${path} could not be written.`);
  }
  return { sizeBytes: (await stat(path)).size, sha256: digest.value() };
}

/**
 * Unpacks one part below `target`. Throws `backup_unusable` when the file differs from what was written, and
 * `disk_full`.
 */
export async function readPart(path: string, part: BackupPart, target: string, signal: AbortSignal): Promise<void> {
  const tar = startTar(['--extract', ...keepAll, '--same-owner', '--same-permissions', '--directory', target]);
  tar.child.stdout.resume();
  const digest = createDigest();
  const ended = await Promise.allSettled([
    pipeline(createReadStream(path), digest.stream, createZstdDecompress(), sinkInto(tar.child), { signal }).catch(
      (error: unknown) => {
        tar.child.kill('SIGKILL');
        throw error;
      },
    ),
    tar.ended,
  ]);
  signal.throwIfAborted();
  const failed = ended.find((end) => end.status === 'rejected');
  const complaint = tar.complaint();
  if (noRoom.test(complaint))
    throw new SoulBoxError('disk_full', `There is no space left for the part ${part.name} of the backup.`);
  if (failed === undefined && digest.value() === part.sha256) return;
  throw new SoulBoxError('backup_unusable', `The part ${part.name} of the backup is damaged (${part.file}).`, {
    cause: failed?.reason ?? new Error(complaint),
  });
}

/** tar stops reading at the end of its archive, before the zeros that follow. The digest must cover the whole file. */
function sinkInto(child: ReturnType<typeof startTar>['child']): Writable {
  let isClosed = false;
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (isClosed) {
        done(child.exitCode === null || child.exitCode === 0 ? null : new Error('tar failed'));
        return;
      }
      child.stdin.write(chunk, (error) => {
        isClosed = error !== null && error !== undefined;
        done();
      });
    },
    final(done) {
      child.stdin.end();
      done();
    },
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

function startTar(args: readonly string[]) {
  const child = spawn('tar', [...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
  });
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    if (complaint.length < 4000) complaint += text;
  });
  // tar may end before it has read all input.
  child.stdin.on('error', () => undefined);
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve();
      else reject(new CommandError(['tar', ...args], code ?? undefined, complaint, undefined));
    });
  });
  ended.catch(() => undefined);
  return { child, ended, complaint: () => complaint };
}

async function flush(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
