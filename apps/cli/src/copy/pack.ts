import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { SoulBoxError } from '@soulbox/base';
import { inheritedEnvironment } from '../config.ts';

export interface Pack {
  /** The archive. */
  readonly bytes: AsyncIterable<Uint8Array>;
  /** Throws unless tar has read all files. Needs that `bytes` was read. */
  check(): Promise<void>;
  /** How many names had vanished when tar came to them. */
  vanished(): number;
}

const maxErrorBytes = 4096;
/** GNU tar: a file changed while it was read. */
const changedCode = 1;
const failedCode = 2;
const vanishedLine =
  /^tar: .*: (?:Cannot (?:stat|open|readlink|savedir): (?:No such file or directory|Not a directory)|File removed before we read it)$/;
/** What tar says after these, and of files that are written to. */
const harmlessLine =
  /^tar: (?:Exiting with failure status|.*: (?:file changed as we read it|File shrank by \d+ bytes; padding with zeros)$)/;
/** Of a message with a long name. */
const maxLineLength = 32 * 1024;

/**
 * Makes an archive with GNU tar, which knows holes, hard links and names of any bytes. `names` are paths below the
 * folder; a folder among them stands for itself only.
 */
export function pack(
  folder: string,
  names: AsyncIterable<Buffer> | Iterable<Buffer>,
  options: {
    readonly isForGnu: boolean;
    readonly signal: AbortSignal;
    /** Names may vanish before tar comes to them. */
    readonly mayVanish?: boolean;
  },
): Pack {
  const { isForGnu, signal, mayVanish = false } = options;
  // Other programs know neither pax headers nor sparse files.
  const format = isForGnu ? ['--format=posix', '--pax-option=delete=atime,delete=ctime', '--sparse'] : ['--format=gnu'];
  const list = ['--no-recursion', '--null', '--verbatim-files-from', '--files-from=-'];
  const { TAR_OPTIONS: _, POSIXLY_CORRECT: __, ...environment } = inheritedEnvironment();
  const child: ChildProcessWithoutNullStreams = spawn(
    'tar',
    ['--create', '--file=-', ...format, `--directory=${folder}`, ...list],
    {
      env: { ...environment, LC_ALL: 'C' },
      stdio: 'pipe',
      signal,
      // An interrupted terminal must not end it before we do.
      detached: true,
    },
  );
  let errors = '';
  let vanished = 0;
  let line = '';
  const tell = (said: string): void => {
    if (mayVanish && vanishedLine.test(said)) vanished += 1;
    else if (!mayVanish || !harmlessLine.test(said)) errors = `${errors}${said}\n`.slice(0, maxErrorBytes);
  };
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    const lines = `${line}${text}`.split('\n');
    line = (lines.pop() ?? '').slice(0, maxLineLength);
    for (const said of lines) tell(said);
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code));
  });
  ended.catch(() => undefined);
  const listed = pipeline(Readable.from(withNuls(names)), child.stdin);
  listed.catch(() => child.kill());
  return {
    bytes: child.stdout,
    vanished: () => vanished,
    async check() {
      const code = await ended.catch((error: unknown) => {
        if (signal.aborted) throw signal.reason;
        throw new SoulBoxError('capability_missing', 'GNU tar is needed on this host. Install the package tar.', {
          cause: error,
        });
      });
      signal.throwIfAborted();
      // A tar that has failed reads no further names, so its own words come first.
      const hasOnlyVanished = code === failedCode && vanished > 0 && errors === '';
      if (code !== 0 && code !== changedCode && !hasOnlyVanished) {
        const words = errors === '' ? `it ended with exit code ${String(code)}` : firstLines(errors);
        throw new SoulBoxError(/permission denied/i.test(errors) ? 'forbidden' : 'bad_path', `tar: ${words}`);
      }
      await listed;
    },
  };
}

async function* withNuls(names: AsyncIterable<Buffer> | Iterable<Buffer>): AsyncGenerator<Buffer> {
  const nul = Buffer.alloc(1);
  let batch: Buffer[] = [];
  let size = 0;
  for await (const name of names) {
    batch.push(name, nul);
    size += name.length + 1;
    if (size < 16 * 1024) continue;
    yield Buffer.concat(batch);
    [batch, size] = [[], 0];
  }
  if (size > 0) yield Buffer.concat(batch);
}

function firstLines(text: string): string {
  return text
    .trim()
    .split('\n')
    .slice(0, 3)
    .join('; ')
    .replaceAll(/^tar: /g, '');
}
