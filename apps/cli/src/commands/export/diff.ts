import { createReadStream, existsSync } from 'node:fs';
import { defineCommand } from 'citty';
import { ApiError } from '../../api/api-error.ts';
import type { ApiConnection } from '../../api/connection.ts';
import { findApi } from '../../api/connection.ts';
import { downloadApi } from '../../api/transfer.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { openExported } from '../../exported/open-exported.ts';
import type { Exported } from '../../exported/open-exported.ts';
import { abortOnSignal } from '../../output/abort-on-signal.ts';
import { printDifferences } from './print-differences.ts';
import { withProgress } from './transfer-progress.ts';

export const diffExports = defineCommand({
  meta: {
    name: 'diff',
    description:
      'Say which files two sandboxes, snapshots or export files differ in: + new or changed only in the second, - only in the first, ~ different in both',
    examples: ['soulbox diff ID OTHER_ID', 'soulbox diff before.soulbox after.soulbox --json'],
  },
  args: {
    first: { type: 'positional', required: true, description: 'A sandbox, a snapshot, or an export file' },
    second: { type: 'positional', required: true, description: 'Another one' },
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const stop = abortOnSignal();
    await using first = await openAny(args.first, args['data-dir'], stop);
    await using second = await openAny(args.second, args['data-dir'], stop);
    await printDifferences(first, second, args.json === true);
  },
});

/** A file of this name comes first: an id of a server is never in the way of it. */
async function openAny(text: string, dataDirectory: string | undefined, stop: AbortSignal): Promise<Exported> {
  if (existsSync(text)) return await openExported(createReadStream(text, { signal: stop }), stop);
  const api = await findApi(dataDirectory);
  const id = encodeURIComponent(text);
  try {
    return await download(api, `/sandboxes/${id}/export`, text, stop);
  } catch (error) {
    if (!(error instanceof ApiError) || ![400, 404].includes(error.status)) throw error;
    return await download(api, `/snapshots/${id}/export`, text, stop);
  }
}

async function download(api: ApiConnection, path: string, label: string, stop: AbortSignal): Promise<Exported> {
  return await openExported(withProgress(label, downloadApi(api, { path }, stop)), stop);
}
