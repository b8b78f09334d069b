import { createWriteStream } from 'node:fs';
import { link, rename, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { errorFromNode, isNodeError } from '@soulbox/base';
import { findApi } from '../../api/connection.ts';
import { downloadApi } from '../../api/transfer.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { abortOnSignal } from '../../output/abort-on-signal.ts';
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
  const pieces = withProgress('export', downloadApi(api, { path, query }, abortOnSignal()));
  if (args.output === '-') {
    await pipeline(pieces, process.stdout, { end: false });
    return;
  }
  const file = resolve(args.output ?? `${id.replaceAll(/[^A-Za-z0-9._-]/g, '-')}.soulbox`);
  await writeWhole(file, pieces, args.force === true);
  console.log(args.json === true ? JSON.stringify({ file }) : file);
}

async function writeWhole(file: string, pieces: AsyncIterable<Uint8Array>, force: boolean): Promise<void> {
  const part = `${file}.${process.pid}.part`;
  try {
    // It contains the files of a sandbox.
    await pipeline(pieces, createWriteStream(part, { flags: 'wx', mode: 0o600 }));
    if (force) await rename(part, file);
    // Unlike a rename, this never replaces another file.
    else await link(part, file);
  } catch (error) {
    throw isNodeError(error) && error.syscall !== undefined
      ? errorFromNode(
          error,
          `${file} cannot be written (${error.code}).${error.code === 'EEXIST' ? ' Use --force to replace it.' : ''}`,
        )
      : error;
  } finally {
    await rm(part, { force: true });
  }
}
