import { resolve } from 'node:path';
import { defineCommand } from 'citty';
import { SoulBoxError } from '@soulbox/base';
import { createBackup as makeBackup } from '@soulbox/box/backup';
import type { Backup } from '@soulbox/box/backup';
import { findServer } from '@soulbox/box/server-file';
import { resolveFolders } from '../../config.ts';
import { createProgress } from '../../output/progress.ts';
import { showBytes } from '../../output/table.ts';
import { exitCodes } from '../../command-line/exit-codes.ts';
import { dataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { abortOnSignal } from '../../output/abort-on-signal.ts';
import { fillStage } from './ask-server.ts';

export const createBackup = defineCommand({
  meta: {
    name: 'create',
    description: 'Save everything of a running server into a new folder; exit code 1 if something was left out',
    examples: ['sudo soulbox backup create /backup/monday', 'sudo soulbox backup create /backup/monday --json'],
  },
  args: {
    target: { type: 'positional', required: true, description: 'Folder for the backup; must be missing or empty' },
    'data-dir': dataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const folders = resolveFolders(args['data-dir']);
    const { dataDirectory } = folders;
    if ((await findServer(dataDirectory))?.state !== 'ready')
      throw new SoulBoxError(
        'host_not_ready',
        `No server is running for ${dataDirectory}. Start one with "soulbox up", or copy the folder (docs/backup.md).`,
      );
    const target = resolve(args.target);
    const signal = abortOnSignal();
    const backup = await (async () => {
      using progress = createProgress('Backup:');
      return await makeBackup({
        ...{ ...folders, target, signal },
        fillStage: async (report) => {
          await fillStage(dataDirectory, report, signal);
        },
        onStep: (text) => progress.step(text),
      });
    })();
    if (args.json === true) console.log(JSON.stringify({ target, ...backup }));
    else print(target, backup);
    return backup.leftOut.length === 0 ? exitCodes.ok : exitCodes.failed;
  },
});

function print(target: string, { parts, leftOut, ...counted }: Backup): void {
  const sizeBytes = parts.reduce((sum, part) => sum + part.sizeBytes, 0);
  const { sandboxCount, snapshotCount, volumeCount } = counted;
  const counts = `${sandboxCount} sandboxes, ${snapshotCount} snapshots and templates, ${volumeCount} volumes`;
  console.log(`Backup in ${target}: ${counts}, ${showBytes(sizeBytes)}. It contains keys and secrets of the server.`);
  for (const { what, id, reason } of leftOut) console.error(`Left out: ${what} ${id}: ${reason}`);
}
