import { lstat, stat } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { defineCommand } from 'citty';
import { errorFromNode } from '@soulbox/base';
import { findApi } from '../../api/connection.ts';
import { reachSandbox } from '../../api/reach-sandbox.ts';
import type { ReachedSandbox } from '../../api/reach-sandbox.ts';
import { exitCodes } from '../../command-line/exit-codes.ts';
import { apiDataDirArg, fileUserArg, jsonArg, quietArg } from '../../command-line/shared-args.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { codeOf } from '../../copy/folder-stack.ts';
import { pack } from '../../copy/pack.ts';
import { parsePlace, parseSourceName } from '../../copy/place.ts';
import type { Place } from '../../copy/place.ts';
import { printBytes } from '../../copy/print-bytes.ts';
import { readBytes, receive } from '../../copy/receive.ts';
import { send } from '../../copy/send.ts';
import { walk } from '../../copy/walk.ts';
import { abortOnSignal, orInterrupted } from '../../output/abort-on-signal.ts';
import { createMeter } from '../../output/meter.ts';
import type { Meter } from '../../output/meter.ts';

export const copyFiles = defineCommand({
  meta: {
    name: 'cp',
    description:
      'Copy a file or a folder into a sandbox, or out of it. As with cp -r, a copy goes into DST if that is a folder; SRC/. means what is in SRC',
    examples: [
      'soulbox sandbox cp ./app ID:app',
      'soulbox sandbox cp ID:/var/log/app.log .',
      'soulbox sandbox cp ID:results - | tar t',
    ],
  },
  args: {
    src: { type: 'positional', required: true, description: 'ID:PATH, a path of this host, or - for standard input' },
    dst: { type: 'positional', required: true, description: 'ID:PATH, a path of this host, or - for standard output' },
    user: fileUserArg,
    quiet: quietArg,
    'data-dir': apiDataDirArg,
    json: { ...jsonArg, description: 'Print what was copied as JSON' },
  },
  async run({ args }) {
    const [from, to] = [parsePlace(args.src), parsePlace(args.dst)];
    const inside = [from, to].filter((place) => place.at === 'sandbox');
    const [place] = inside;
    if (place === undefined || inside.length > 1)
      throw new UsageError('One of SRC and DST must be ID:PATH in a sandbox, and the other one on this host.');
    const api = await findApi(args['data-dir']);
    const sandbox = await reachSandbox(api, place.sandboxId);
    if (from.at === 'sandbox' && to.at === 'standard')
      return await orInterrupted(
        async (signal) =>
          await printBytes((stop) => readBytes(sandbox, { path: from.path, user: args.user, signal: stop }), signal),
      );
    const signal = abortOnSignal();
    using meter = createMeter('copy', { quiet: args.quiet, totalBytes: await sizeOf(from) });
    const options = { user: args.user, signal, meter };
    try {
      const copied = await (from.at === 'sandbox' && to.at === 'host'
        ? download(sandbox, from, to, options)
        : upload(sandbox, from, place, options));
      meter[Symbol.dispose]();
      if (args.json === true) console.log(JSON.stringify(copied));
      if (copied.skipped > 0)
        console.error(
          `${copied.skipped} devices, pipes or sockets were left out: only files, folders and links are copied.`,
        );
      return exitCodes.ok;
    } catch (error) {
      if (!signal.aborted) throw error;
      meter[Symbol.dispose]();
      console.error('Interrupted. What was not complete is not there.');
      return exitCodes.interrupted;
    }
  },
});

interface CopyOptions {
  readonly user: string | undefined;
  readonly signal: AbortSignal;
  readonly meter: Meter;
}

interface Summary {
  readonly files?: number;
  readonly folders?: number;
  readonly links?: number;
  readonly bytes: number;
  readonly skipped: number;
}

async function download(
  sandbox: ReachedSandbox,
  from: Extract<Place, { at: 'sandbox' }>,
  to: Extract<Place, { at: 'host' }>,
  { user, signal, meter }: CopyOptions,
): Promise<Summary> {
  const onReceived = (bytes: number, { files }: { readonly files: number }): void =>
    meter.show(bytes, `${files} files`);
  return await receive(sandbox, { source: from.path, destination: to.path, user, signal, onReceived });
}

async function upload(
  sandbox: ReachedSandbox,
  from: Place,
  to: Extract<Place, { at: 'sandbox' }>,
  { user, signal, meter }: CopyOptions,
): Promise<Summary> {
  const summary = { files: 0, folders: 0, links: 0, bytes: 0, skipped: 0 };
  const onSent = (bytes: number): void => {
    summary.bytes += bytes;
    meter.show(summary.bytes, `${summary.files} files`);
  };
  const shared = { path: parseTarget(to.path), mustBeFolder: to.path.endsWith('/'), user };
  if (from.at !== 'host') {
    const parcel = { bytes: process.stdin, check: async () => await Promise.resolve() };
    summary.files = 1;
    const arrival = { ...shared, kind: 'stream', name: 'stdin', isContents: false } as const;
    await send(sandbox, arrival, () => parcel, { signal, onSent });
    return summary;
  }
  const { path, isContents, isFolder } = parseSourceName(from.path);
  const source = await findSource(path, isFolder);
  const name = basename(resolve(path));
  // A link is packed as such.
  const kind = source === 'folder' ? 'folder' : 'file';
  const arrival = { ...shared, kind, name, isContents } as const;
  const names = kind === 'file' ? [Buffer.from(`./${name}`)] : counted(walk(path), summary);
  const folder = kind === 'file' ? dirname(resolve(path)) : path;
  if (kind === 'file') summary[source === 'link' ? 'links' : 'files'] = 1;
  await send(sandbox, arrival, (isForGnu, stop) => pack(folder, names, { isForGnu, signal: stop }), { signal, onSent });
  return summary;
}

/** `/` and `/.` at the end say that it must be a folder, and are no part of its name. */
function parseTarget(path: string): string {
  return parseSourceName(path).path;
}

async function findSource(path: string, isFolder: boolean): Promise<'file' | 'folder' | 'link'> {
  const found = await (isFolder ? stat(path) : lstat(path)).catch((error: unknown) => {
    throw errorFromNode(error, `${path} cannot be read${codeOf(error)}.`);
  });
  if (found.isDirectory()) return 'folder';
  if (found.isSymbolicLink()) return 'link';
  if (isFolder || !found.isFile())
    throw new UsageError(`${path} is not a ${isFolder ? 'folder' : 'file or a folder'}.`);
  return 'file';
}

async function* counted(
  entries: ReturnType<typeof walk>,
  summary: { files: number; folders: number; links: number; skipped: number },
): AsyncGenerator<Buffer> {
  for await (const { kind, path } of entries) {
    const count = { file: 'files', folder: 'folders', link: 'links', special: 'skipped' } as const;
    summary[count[kind]] += 1;
    if (kind !== 'special') yield path;
  }
}

/** Of a file on this host, for the bar. */
async function sizeOf(from: Place): Promise<number | undefined> {
  if (from.at !== 'host') return undefined;
  const found = await lstat(from.path).catch(() => undefined);
  return found?.isFile() === true ? found.size : undefined;
}
