import { link, lstat, open, rename, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { errorFromNode, isNodeError, SoulBoxError } from '@soulbox/base';
import { findApi } from '../../api/connection.ts';
import { downloadApi } from '../../api/transfer.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { abortOnSignal } from '../../output/abort-on-signal.ts';
import { writeOutput } from '../../output/write-output.ts';
import { withProgress } from './transfer-progress.ts';

export const exportArgs = {
  output: {
    type: 'string',
    description: 'The file, or - for standard output (default: ID.soulbox in this folder)',
    valueHint: 'FILE',
  },
  memory: { type: 'boolean', description: 'Also the saved memory, so that programs continue where they were' },
  force: { type: 'boolean', description: 'Replace the file if it exists' },
  'data-dir': apiDataDirArg,
  json: jsonArg,
} as const;

interface ExportFlags {
  readonly output?: string | undefined;
  readonly memory?: boolean | undefined;
  readonly force?: boolean | undefined;
  readonly 'data-dir'?: string | undefined;
  readonly json?: boolean | undefined;
}

/** Downloads the export at `path` of the API into a file, which exists only when it is complete. */
export async function downloadExport(path: string, id: string, args: ExportFlags): Promise<void> {
  const api = await findApi(args['data-dir']);
  const query = args.memory === true ? { memory: 'true' } : {};
  const stop = abortOnSignal();
  const pieces = withProgress('export', downloadApi(api, { path, query }, stop));
  if (args.output === '-') {
    await writeOutput(pieces, stop);
    return;
  }
  const file = resolve(args.output ?? `${id.replaceAll(/[^A-Za-z0-9._-]/g, '-')}.soulbox`);
  await writeWhole(file, pieces, args.force === true);
  console.log(args.json === true ? JSON.stringify({ file }) : file);
}

/** The file is in place only when it is complete. What cannot be written fails before the export begins. */
export async function writeWhole(file: string, pieces: AsyncIterable<Uint8Array>, force: boolean): Promise<void> {
  const part = `${file}.${process.pid}.part`;
  try {
    if (!force && (await isThere(file))) throw present(file);
    // It contains the files of a sandbox.
    const target = await open(part, 'wx', 0o600);
    try {
      await pipeline(pieces, target.createWriteStream());
      if (force) await rename(part, file);
      else await putNew(part, file);
    } finally {
      await rm(part, { force: true });
    }
  } catch (error) {
    throw isNodeError(error) && error.syscall !== undefined
      ? errorFromNode(error, `${error.path ?? file} cannot be written (${error.code}).`)
      : error;
  }
}

async function isThere(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined)) !== undefined;
}

function present(file: string): SoulBoxError {
  return new SoulBoxError('file_exists', `${file} exists. Use --force to replace it.`);
}

/** File systems without hard links, such as FAT. */
const linklessCodes: readonly (string | undefined)[] = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'];

/** Unlike a rename, this never replaces another file. */
async function putNew(part: string, file: string): Promise<void> {
  try {
    await link(part, file);
  } catch (error) {
    if (!isNodeError(error)) throw error;
    if (error.code === 'EEXIST') throw present(file);
    if (!linklessCodes.includes(error.code)) throw error;
    await takeName(file);
    await rename(part, file);
  }
}

async function takeName(file: string): Promise<void> {
  try {
    const taken = await open(file, 'wx', 0o600);
    await taken.close();
  } catch (error) {
    throw isNodeError(error) && error.code === 'EEXIST' ? present(file) : error;
  }
}
