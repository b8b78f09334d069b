import { readFile } from 'node:fs/promises';
import { defineCommand } from 'citty';
import { isNodeError, SoulBoxError } from '@soulbox/base';
import { findServer } from '@soulbox/box/server-file';
import { printable } from '@soulbox/envd-client/printable';
import { storageReportIn, storageReportSchema } from '@soulbox/vault/report';
import type { StorageReport } from '@soulbox/vault/report';
import { resolveFolders } from '../../config.ts';
import { exitCodes } from '../../command-line/exit-codes.ts';
import { dataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { showBytes } from '../../output/table.ts';

export const showStorage = defineCommand({
  meta: {
    name: 'status',
    description: 'Show what of a running server is in its object store; exit code 1 if something is not',
    examples: ['sudo soulbox storage status', 'sudo soulbox storage status --json'],
  },
  args: { 'data-dir': dataDirArg, json: jsonArg },
  async run({ args }) {
    const { dataDirectory } = resolveFolders(args['data-dir']);
    const report = await readReport(dataDirectory);
    if (args.json === true) console.log(JSON.stringify(report, undefined, 2));
    else print(report);
    return report.pending === 0 && report.state === 'idle' ? exitCodes.ok : exitCodes.failed;
  },
});

/** Throws `host_not_ready` without a server that uploads. */
async function readReport(dataDirectory: string): Promise<StorageReport> {
  const server = await findServer(dataDirectory);
  try {
    if (server?.state === 'ready')
      return storageReportSchema.parse(JSON.parse(await readFile(storageReportIn(dataDirectory), 'utf8')));
  } catch (error) {
    if (!isNodeError(error) || error.code !== 'ENOENT') throw error;
  }
  const why = server?.state === 'ready' ? 'does not use an object store (SOULBOX_STORAGE)' : 'does not run';
  throw new SoulBoxError('host_not_ready', `The server of ${dataDirectory} ${why}.`);
}

const words: Readonly<Record<StorageReport['state'], string>> = {
  starting: 'The store is being read.',
  working: 'Uploads are in progress.',
  idle: 'Everything that sleeps is in the store.',
  waiting: 'Uploads have failed and are tried again.',
  away: 'The store cannot be used.',
  refused: 'Nothing is uploaded.',
};

function print(report: StorageReport): void {
  const { state, reason, wanted, uploaded, pendingBytes, uploads, uploadedBytes, failures, notUploaded } = report;
  console.log(`${words[state]}${reason === '' ? '' : ` ${printable(reason)}`}`);
  console.log(`${uploaded} of ${wanted} sandboxes and snapshots are in the store; ${showBytes(pendingBytes)} are not.`);
  console.log(`Since the start: ${uploads} uploads, ${showBytes(uploadedBytes)}, ${failures} failures.`);
  for (const { what, id, state: outcome, reason: why } of notUploaded)
    console.log(`${outcome}: ${what} ${id}${why === '' ? '' : `: ${printable(why)}`}`);
}
