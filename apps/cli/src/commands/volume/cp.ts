import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { defineCommand } from 'citty';
import { errorFromNode, isNodeError } from '@soulbox/base';
import type { ApiConnection } from '../../api/connection.ts';
import { findApi } from '../../api/connection.ts';
import { downloadApi, uploadApi } from '../../api/transfer.ts';
import type { ApiVolumeEntry } from '../../api/wire.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { printBytes } from '../../copy/print-bytes.ts';
import { abortOnSignal, orInterrupted } from '../../output/abort-on-signal.ts';
import { writeWhole } from '../export/download-export.ts';
import { withProgress } from '../export/transfer-progress.ts';
import { contentCall, findEntry, findVolumePlace } from './volume-place.ts';
import type { VolumePlace } from './volume-place.ts';

export const copyVolumeFile = defineCommand({
  meta: {
    name: 'cp',
    description: 'Copy a file into a volume, or out of it. A copy goes into DST if that is a folder',
    examples: [
      'soulbox volume cp points.csv datasets:/raw/points.csv',
      'soulbox volume cp datasets:/raw/points.csv .',
      'tar c . | soulbox volume cp - datasets:/all.tar',
    ],
  },
  args: {
    src: {
      type: 'positional',
      required: true,
      description: 'VOLUME:PATH, a file of this host, or - for standard input',
    },
    dst: {
      type: 'positional',
      required: true,
      description: 'VOLUME:PATH, a path of this host, or - for standard output',
    },
    force: { type: 'boolean', description: 'Replace a file of this host that exists' },
    'data-dir': apiDataDirArg,
    json: { ...jsonArg, description: 'Print what was copied as JSON' },
  },
  async run({ args }) {
    const [from, to] = [findVolumePlace(args.src), findVolumePlace(args.dst)];
    if ((from === undefined) === (to === undefined))
      throw new UsageError('One of SRC and DST must be VOLUME:PATH, and the other one on this host.');
    const api = await findApi(args['data-dir']);
    if (to !== undefined) {
      const entry = await upload(api, args.src, to);
      if (args.json === true) console.log(JSON.stringify({ path: entry.path, bytes: entry.size }));
      return 0;
    }
    const source = from as VolumePlace;
    const read = (stop: AbortSignal): AsyncIterable<Uint8Array> => downloadApi(api, contentCall('file', source), stop);
    if (args.dst === '-') return await orInterrupted(async (signal) => await printBytes(read, signal));
    const file = (await isFolder(args.dst)) ? join(args.dst, basename(source.path)) : args.dst;
    await writeWhole(file, withProgress('copy', read(abortOnSignal())), args.force === true);
    if (args.json === true) console.log(JSON.stringify({ file }));
    return 0;
  },
});

async function upload(api: ApiConnection, source: string, to: VolumePlace): Promise<ApiVolumeEntry> {
  const found = source === '-' ? undefined : await stat(source).catch(() => undefined);
  if (found !== undefined && !found.isFile()) throw new UsageError(`${source} is not a file. Pack a folder with tar.`);
  const isInto = to.path.endsWith('/') || (await findEntry(api, to))?.type === 'directory';
  if (isInto && source === '-') throw new UsageError('Standard input needs the path of a file, not of a folder.');
  const path = isInto ? `${to.path.replace(/\/+$/, '')}/${basename(source)}` : to.path;
  const bytes = (source === '-' ? process.stdin : readFile(source)) as AsyncIterable<Uint8Array>;
  return await uploadApi<ApiVolumeEntry>(
    api,
    { method: 'PUT', contentType: 'application/octet-stream', ...contentCall('file', { ...to, path }) },
    withProgress('copy', bytes, found?.size),
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
