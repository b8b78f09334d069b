import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { defineCommand } from 'citty';
import { errorFromNode, isNodeError } from '@soulbox/base';
import type { ApiConnection } from '../../api/connection.ts';
import { findApi } from '../../api/connection.ts';
import { downloadApi, uploadApi } from '../../api/transfer.ts';
import type { ApiVolumeEntry } from '../../api/wire.ts';
import { apiDataDirArg, jsonArg, quietArg } from '../../command-line/shared-args.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { parseSourceName } from '../../copy/place.ts';
import type { SourceName } from '../../copy/place.ts';
import { printBytes } from '../../copy/print-bytes.ts';
import { placeOf as destinationOf } from '../../copy/receive.ts';
import { createMeter } from '../../output/meter.ts';
import { exitCodes } from '../../command-line/exit-codes.ts';
import { callApi } from '../../api/call.ts';
import { abortOnSignal, orInterrupted } from '../../output/abort-on-signal.ts';
import { writeWhole } from '../export/download-export.ts';
import { withProgress } from '../export/transfer-progress.ts';
import { receiveTree, sendTree } from './copy-tree.ts';
import { join as joinPath, readHostTree, readVolumeTree } from './tree-source.ts';
import { contentCall, findEntry, findVolumePlace } from './volume-place.ts';
import type { VolumePlace } from './volume-place.ts';

export const copyVolumeFile = defineCommand({
  meta: {
    name: 'cp',
    description:
      'Copy a file or a folder into a volume, out of it, or between volumes. As with cp -r, a copy goes into DST if that is a folder; SRC/. means what is in SRC',
    examples: [
      'soulbox volume cp points.csv datasets:/raw/points.csv',
      'soulbox volume cp datasets:/raw/points.csv .',
      'soulbox volume cp ./corpus datasets:/raw',
      'soulbox volume cp datasets:/raw/. ./raw',
      'tar c . | soulbox volume cp - datasets:/all.tar',
    ],
  },
  args: {
    src: {
      type: 'positional',
      required: true,
      description: 'VOLUME:PATH, a path of this host, or - for standard input',
    },
    dst: {
      type: 'positional',
      required: true,
      description: 'VOLUME:PATH, a path of this host, or - for standard output',
    },
    force: { type: 'boolean', description: 'Replace a file of this host that exists' },
    quiet: quietArg,
    'data-dir': apiDataDirArg,
    json: { ...jsonArg, description: 'Print what was copied as JSON' },
  },
  async run({ args }) {
    const [from, to] = [findVolumePlace(args.src), findVolumePlace(args.dst)];
    if (from === undefined && to === undefined) throw new UsageError('One of SRC and DST must be VOLUME:PATH.');
    const api = await findApi(args['data-dir']);
    if (args.src === '-') return printOne(await upload(api, '-', to as VolumePlace), args.json);
    if (args.dst === '-' && from !== undefined)
      return await orInterrupted(
        async (signal) => await printBytes((stop) => downloadApi(api, contentCall('file', from), stop), signal),
      );
    const name = parseSourceName(from?.path ?? args.src);
    const source =
      from === undefined ? undefined : await getEntry(api, { ...from, path: parseSourceName(from.path).path });
    if (source === undefined ? await isFolder(name.path) : source.type === 'directory')
      return await copyFolder(api, { source, from, to, name, args });
    if (name.isFolder) throw new UsageError(`${name.path} is not a folder.`);
    if (to !== undefined && from !== undefined) {
      const bytes = downloadApi(api, contentCall('file', from), abortOnSignal());
      return printOne(await put(api, to, name.name, { bytes, size: source?.size, mode: source?.mode }), args.json);
    }
    if (to !== undefined) return printOne(await upload(api, args.src, to), args.json);
    const file = (await isFolder(args.dst)) ? join(args.dst, name.name) : args.dst;
    const bytes = downloadApi(api, contentCall('file', from as VolumePlace), abortOnSignal());
    await writeWhole(file, withProgress('copy', bytes), args.force === true);
    if (args.json === true) console.log(JSON.stringify({ file }));
    return 0;
  },
});

function printOne(entry: ApiVolumeEntry, json: boolean | undefined): number {
  if (json === true) console.log(JSON.stringify({ path: entry.path, bytes: entry.size }));
  return 0;
}

interface FolderCopy {
  /** Undefined: the source is a folder of this host. */
  readonly source: ApiVolumeEntry | undefined;
  readonly from: VolumePlace | undefined;
  readonly to: VolumePlace | undefined;
  readonly name: SourceName;
  readonly args: { readonly dst: string; readonly quiet?: boolean | undefined; readonly json?: boolean | undefined };
}

async function copyFolder(api: ApiConnection, { source, from, to, name, args }: FolderCopy): Promise<number> {
  const signal = abortOnSignal();
  using meter = createMeter('copy', { quiet: args.quiet });
  const onBytes = (bytes: number, { files }: { readonly files: number }): void => meter.show(bytes, `${files} files`);
  const called = basename(resolve(name.path));
  try {
    const entries =
      from === undefined || source === undefined
        ? readHostTree(name.path)
        : readVolumeTree(api, { ...from, path: source.path }, source, signal);
    const copied =
      to === undefined
        ? await receiveTree(entries, await destinationOf(args.dst, name), onBytes)
        : await sendTree(api, entries, await targetOf(api, to, from === undefined ? called : name.name, name), {
            onBytes,
            signal,
          });
    meter[Symbol.dispose]();
    if (args.json === true) console.log(JSON.stringify(copied));
    if (copied.skipped > 0)
      console.error(
        `${copied.skipped} links or devices were left out: only files and folders are copied into volumes.`,
      );
    return exitCodes.ok;
  } catch (error) {
    if (!signal.aborted) throw error;
    meter[Symbol.dispose]();
    console.error('Interrupted. Files that were complete are there.');
    return exitCodes.interrupted;
  }
}

/** As `cp -r`: into a folder that is there. */
async function targetOf(
  api: ApiConnection,
  to: VolumePlace,
  called: string,
  { isContents }: SourceName,
): Promise<VolumePlace> {
  const found = to.path === '/' ? 'directory' : (await findEntry(api, to))?.type;
  if (found !== undefined && found !== 'directory') throw new UsageError(`${to.path} is not a folder.`);
  return found === undefined || isContents ? to : { ...to, path: joinPath(to.path, [called]) };
}

async function getEntry(api: ApiConnection, place: VolumePlace): Promise<ApiVolumeEntry> {
  return (await callApi<ApiVolumeEntry>(api, contentCall('path', place))).body;
}

async function upload(api: ApiConnection, source: string, to: VolumePlace): Promise<ApiVolumeEntry> {
  const found = source === '-' ? undefined : await stat(source).catch(() => undefined);
  if (found?.isFile() === false) throw new UsageError(`${source} is not a file or a folder.`);
  const bytes = (source === '-' ? process.stdin : readFile(source)) as AsyncIterable<Uint8Array>;
  return await put(api, to, source === '-' ? undefined : basename(source), { bytes, size: found?.size });
}

/** `name`: what a file is called that is copied into a folder. */
async function put(
  api: ApiConnection,
  to: VolumePlace,
  name: string | undefined,
  file: {
    readonly bytes: AsyncIterable<Uint8Array>;
    readonly size?: number | undefined;
    readonly mode?: number | undefined;
  },
): Promise<ApiVolumeEntry> {
  const isInto = to.path.endsWith('/') || (await findEntry(api, to))?.type === 'directory';
  if (isInto && name === undefined) throw new UsageError('Standard input needs the path of a file, not of a folder.');
  const path = isInto ? joinPath(to.path, [name ?? '']) : to.path;
  const query = file.mode === undefined ? {} : { mode: file.mode };
  return await uploadApi<ApiVolumeEntry>(
    api,
    { method: 'PUT', contentType: 'application/octet-stream', ...contentCall('file', { ...to, path }, query) },
    withProgress('copy', file.bytes, file.size),
    abortOnSignal(),
  );
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true;
}

async function* readFile(path: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(path, { highWaterMark: 256 * 1024 }) as AsyncIterable<Uint8Array>;
  } catch (error) {
    throw isNodeError(error) ? errorFromNode(error, `${path} cannot be read (${error.code ?? ''}).`) : error;
  }
}
