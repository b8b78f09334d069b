import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { lstat, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { defineCommand } from 'citty';
import { SoulBoxError } from '@soulbox/base';
import { findApi } from '../../api/connection.ts';
import { reachSandbox } from '../../api/reach-sandbox.ts';
import type { ReachedSandbox } from '../../api/reach-sandbox.ts';
import { apiDataDirArg, fileUserArg } from '../../command-line/shared-args.ts';
import { exitCodes } from '../../command-line/exit-codes.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { environment } from '../../config.ts';
import { readSetting } from '../../settings/read-setting.ts';
import { pack } from '../../copy/pack.ts';
import { parseSandboxPlace, parseSourceName } from '../../copy/place.ts';
import { receive } from '../../copy/receive.ts';
import { send } from '../../copy/send.ts';
import { catchSignals, codeOfSignal, Interrupted } from '../../process/signals.ts';

const maxBytes = 256 * 1024 * 1024;
/** For an editor that is asked to end. */
const editorEndMs = 3000;

export const editFile = defineCommand({
  meta: {
    name: 'edit',
    description: 'Edit a file of a sandbox with the editor of VISUAL or EDITOR; a file that changes meanwhile is kept',
    examples: ['soulbox sandbox edit ID:.bashrc', 'soulbox sandbox edit ID:/etc/hosts --user root'],
  },
  args: {
    file: { type: 'positional', required: true, description: 'ID:PATH; a new file is created' },
    user: fileUserArg,
    'data-dir': apiDataDirArg,
  },
  async run({ args }) {
    const { sandboxId, path } = parseSandboxPlace(args.file);
    const { name, isFolder } = parseSourceName(path);
    if (isFolder) throw new UsageError('A folder cannot be edited.');
    const sandbox = await reachSandbox(await findApi(args['data-dir']), sandboxId);
    using ending = catchEnding();
    // Only this person can enter it.
    const folder = await mkdtemp(join(tmpdir(), 'soulbox-edit-'));
    const [draft, newest] = ['draft', 'newest'].map((part) => join(folder, part, name)) as [string, string];
    let isKept = false;
    try {
      for (const file of [draft, newest]) await mkdir(dirname(file));
      const options = { user: args.user, signal: ending.signal };
      const before = await fetchFile(sandbox, path, { ...options, to: draft });
      if (before === undefined) await writeFile(draft, '', { mode: 0o644 });
      const fault = await ending.whileEditing(async () => await runEditor(draft, ending.signal));
      const after = await readBounded(draft, path).catch((error: unknown) => {
        throw fault ?? error;
      });
      isKept = before === undefined ? after.length > 0 : !after.equals(before);
      if (fault !== undefined) throw fault;
      if (!isKept) {
        console.error('Nothing has changed.');
        return exitCodes.ok;
      }
      const now = await fetchFile(sandbox, path, { ...options, to: newest });
      const isSame = before === undefined || now === undefined ? now === before : now.equals(before);
      if (!isSame) throw new SoulBoxError('file_exists', `${path} has changed meanwhile and was kept.`);
      const arrival = { path, kind: 'file', name, isContents: false, mustBeFolder: false, user: args.user } as const;
      const names = [Buffer.from(`./${name}`)];
      await send(sandbox, arrival, (isForGnu, signal) => pack(dirname(draft), names, { isForGnu, signal }), {
        signal: options.signal,
        onSent: () => undefined,
      });
      isKept = false;
      return exitCodes.ok;
    } catch (error) {
      if (isKept) console.error(`Your text is in ${draft}.`);
      const { reason } = ending.signal as { readonly reason: unknown };
      if (reason instanceof Interrupted) return codeOfSignal(reason.signal);
      throw error;
    } finally {
      if (!isKept) await rm(folder, { recursive: true, force: true });
    }
  },
});

interface Ending extends Disposable {
  /** Aborts at a signal, with `Interrupted`. */
  readonly signal: AbortSignal;
  /** Meanwhile, what is typed to interrupt is for the editor. */
  whileEditing<T>(work: () => Promise<T>): Promise<T>;
}

function catchEnding(): Ending {
  const stop = new AbortController();
  const signals = catchSignals();
  let isEditing = false;
  signals.takeOver((signal) => {
    if (isEditing && (signal === 'SIGINT' || signal === 'SIGQUIT')) return;
    stop.abort(new Interrupted(signal));
  });
  return {
    signal: stop.signal,
    async whileEditing(work) {
      isEditing = true;
      try {
        return await work();
      } finally {
        isEditing = false;
      }
    },
    [Symbol.dispose]: () => signals[Symbol.dispose](),
  };
}

interface Fetching {
  readonly user: string | undefined;
  readonly signal: AbortSignal;
  /** Here it is with its mode. */
  readonly to: string;
}

/** Undefined if there is none. */
async function fetchFile(
  sandbox: ReachedSandbox,
  path: string,
  { to, ...options }: Fetching,
): Promise<Buffer | undefined> {
  const stop = new AbortController();
  const onReceived = (bytes: number): void => {
    if (bytes > maxBytes) stop.abort(tooLarge(path));
  };
  const signal = AbortSignal.any([options.signal, stop.signal]);
  try {
    await receive(sandbox, { ...options, source: path, destination: to, signal, onReceived });
  } catch (error) {
    if (error instanceof SoulBoxError && error.reason === 'file_not_found') return undefined;
    throw error;
  }
  if (!(await lstat(to)).isFile())
    throw new SoulBoxError('bad_path', `${path} is a folder or a link. Name the file itself.`);
  return await readBounded(to, path);
}

/** A file with holes can be larger than what was received. */
async function readBounded(file: string, path: string): Promise<Buffer> {
  if ((await lstat(file)).size > maxBytes) throw tooLarge(path);
  return await readFile(file);
}

function tooLarge(path: string): SoulBoxError {
  return new SoulBoxError('limit_exceeded', `${path} is too large to be edited.`);
}

/** Returns why the editor has not ended well. After an abort it is asked to end. */
async function runEditor(file: string, signal: AbortSignal): Promise<Error | undefined> {
  const editor = readSetting('editor');
  // The editor may have arguments of its own, which the shell splits at spaces.
  const script = 'exec $SOULBOX_EDITOR "$1"';
  const env = { ...environment, SOULBOX_EDITOR: editor };
  const child = spawn('sh', ['-c', script, 'soulbox', file], { env, stdio: 'inherit' });
  const interrupted = once(signal, 'abort').then(async () => {
    child.kill('SIGHUP');
    await sleep(editorEndMs, undefined, { ref: false });
    return [null];
  });
  const [code] = (await Promise.race([once(child, 'exit'), interrupted])) as [number | null];
  if (signal.aborted) return signal.reason as Error;
  if (code === 0) return undefined;
  return new SoulBoxError('bad_request', `The editor ${editor} ended with ${String(code)}.`);
}
