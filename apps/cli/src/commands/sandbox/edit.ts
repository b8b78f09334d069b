import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { lstat, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineCommand } from 'citty';
import { SoulBoxError } from '@soulbox/base';
import { findApi } from '../../api/connection.ts';
import { reachSandbox } from '../../api/reach-sandbox.ts';
import type { ReachedSandbox } from '../../api/reach-sandbox.ts';
import { apiDataDirArg, fileUserArg } from '../../command-line/shared-args.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { environment } from '../../config.ts';
import { pack } from '../../copy/pack.ts';
import { parseSandboxPlace, parseSourceName } from '../../copy/place.ts';
import { receive } from '../../copy/receive.ts';
import { send } from '../../copy/send.ts';

const maxBytes = 256 * 1024 * 1024;

export const editFile = defineCommand({
  meta: {
    name: 'edit',
    description: 'Edit a file of a sandbox with the editor of VISUAL or EDITOR; a file that changes meanwhile is kept',
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
    // Only this person can enter it.
    const folder = await mkdtemp(join(tmpdir(), 'soulbox-edit-'));
    const draft = join(folder, name);
    let isKept = false;
    try {
      const options = { user: args.user, signal: new AbortController().signal };
      const before = await fetchFile(sandbox, path, { ...options, to: draft });
      if (before === undefined) await writeFile(draft, '', { mode: 0o644 });
      await runEditor(draft);
      const after = await readFile(draft);
      if (before === undefined ? after.length === 0 : after.equals(before)) {
        console.error('Nothing has changed.');
        return;
      }
      isKept = true;
      const now = await fetchFile(sandbox, path, { ...options, to: join(folder, '.now') });
      const isSame = before === undefined || now === undefined ? now === before : now.equals(before);
      if (!isSame)
        throw new SoulBoxError('file_exists', `${path} has changed meanwhile and was kept. Your text is in ${draft}.`);
      const arrival = { path, kind: 'file', name, isContents: false, mustBeFolder: false, user: args.user } as const;
      const names = [Buffer.from(`./${name}`)];
      await send(sandbox, arrival, (isForGnu, signal) => pack(folder, names, { isForGnu, signal }), {
        signal: options.signal,
        onSent: () => undefined,
      });
      isKept = false;
    } catch (error) {
      if (isKept) console.error(`Your text is in ${draft}.`);
      throw error;
    } finally {
      if (!isKept) await rm(folder, { recursive: true, force: true });
    }
  },
});

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
    if (bytes > maxBytes) stop.abort(new SoulBoxError('limit_exceeded', `${path} is too large to be edited.`));
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
  return await readFile(to);
}

async function runEditor(file: string): Promise<void> {
  const named = [environment['VISUAL'], environment['EDITOR']].find((name) => name !== undefined && name !== '');
  // The editor may have arguments of its own, which the shell splits at spaces.
  const script = '$SOULBOX_EDITOR "$1"';
  const env = { ...environment, SOULBOX_EDITOR: named ?? 'vi' };
  const child = spawn('sh', ['-c', script, 'soulbox', file], { env, stdio: 'inherit' });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new SoulBoxError('bad_request', `The editor ${named ?? 'vi'} ended with ${String(code)}.`);
}
