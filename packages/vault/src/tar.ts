import { spawn } from 'node:child_process';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createZstdCompress, createZstdDecompress } from 'node:zlib';
import { CommandError, SoulBoxError } from '@soulbox/base';

/**
 * Options that keep owners, modes, extended attributes, hard links and holes. GNU tar supports all of them and is on
 * every host.
 */
const keepAll = ['--format=posix', '--numeric-owner', '--xattrs', '--xattrs-include=*', '--sparse'];

/** Messages of tar about a full disk. The third occurs when part of a block still fitted. */
const noRoom = /No space left on device|Disk quota exceeded|Wrote only \d+ of \d+ bytes/;

/** The exit code of tar for files that were changed while they were read, and for nothing worse. */
const filesDiffer = 1;

const lowPriority = ['nice', '-n', '19'];

/** Names in a folder that are packed together. */
export interface TreeSource {
  readonly directory: string;
  readonly names: readonly string[];
  /**
   * Nothing changes the content of these files, but others may remove further names that they have. Some versions of tar
   * take that for a change.
   */
  readonly isStable?: boolean;
}

export interface PackOptions {
  readonly signal: AbortSignal;
  /** By zstd. Encrypted content gains nothing. */
  readonly compresses: boolean;
  /** Nobody waits for it, and sandboxes run beside it. */
  readonly isBehind?: boolean;
}

/** An archive of the names. Throws if one of them changes meanwhile, unless they are stable. */
export async function* packTree(
  source: TreeSource,
  { signal, compresses, isBehind = false }: PackOptions,
): AsyncGenerator<Buffer> {
  signal.throwIfAborted();
  const names = source.names.map((name) => `./${name}`);
  const command = [
    ...(isBehind ? lowPriority : []),
    ...['tar', '--create', '--hole-detection=seek', ...keepAll],
    ...(source.isStable === true ? ['--warning=no-file-changed'] : []),
    ...['--directory', source.directory, '--', ...names],
  ];
  const tar = startTar(command, source.isStable);
  tar.child.stdin.end();
  const output = compresses ? createZstdCompress() : undefined;
  const flowing = output === undefined ? undefined : pipeline(tar.child.stdout, output, { signal });
  flowing?.catch(() => undefined);
  const stop = (): void => void tar.child.kill('SIGKILL');
  signal.addEventListener('abort', stop);
  try {
    yield* (output ?? tar.child.stdout) as AsyncIterable<Buffer>;
    await Promise.all([tar.ended, flowing]);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
    stop();
  }
}

/** Unpacks an archive below `target`. Throws `disk_full`. */
export async function unpackTree(
  target: string,
  content: AsyncIterable<Uint8Array>,
  { signal, compresses }: PackOptions,
): Promise<void> {
  const tar = startTar(['tar', '--extract', ...keepAll, '--same-owner', '--same-permissions', '--directory', target]);
  tar.child.stdout.resume();
  const input = Readable.from(content, { objectMode: false });
  const sink = sinkInto(tar.child);
  const flowing = compresses
    ? pipeline(input, createZstdDecompress(), sink, { signal })
    : pipeline(input, sink, { signal });
  const ended = await Promise.allSettled([
    flowing.catch((error: unknown) => {
      tar.child.kill('SIGKILL');
      throw error;
    }),
    tar.ended,
  ]);
  signal.throwIfAborted();
  if (noRoom.test(tar.complaint())) throw new SoulBoxError('disk_full', `There is no space left in ${target}.`);
  // The error of the content says more than that of a tar that was killed for it.
  for (const end of ended) if (end.status === 'rejected') throw end.reason;
}

/** tar stops reading at the end of its archive, before the zeros that follow. All of the content must be read. */
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

/** `mayDiffer`: tar may find changes of which it does not warn. */
function startTar(command: readonly string[], mayDiffer = false) {
  const [program = 'tar', ...rest] = command;
  const child = spawn(program, rest, {
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
      if (code === 0 || (mayDiffer && code === filesDiffer && complaint === '')) resolve();
      else reject(new CommandError([...command], code ?? undefined, complaint, undefined));
    });
  });
  ended.catch(() => undefined);
  return { child, ended, complaint: () => complaint };
}
