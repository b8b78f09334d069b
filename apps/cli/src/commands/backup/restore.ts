import { resolve } from 'node:path';
import { defineCommand } from 'citty';
import { restoreBackup as restore } from '@soulbox/box/backup';
import { loadBoxConfig } from '@soulbox/box/config';
import { environment, resolveFolders } from '../../config.ts';
import { createProgress } from '../../output/progress.ts';
import { dataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { abortOnSignal } from '../../output/abort-on-signal.ts';

export const restoreBackup = defineCommand({
  meta: {
    name: 'restore',
    description: 'Verify a backup and restore it into a data folder; then start a server on it with `up`',
    examples: [
      'sudo soulbox backup restore /backup/monday --data-dir /var/lib/soulbox',
      'sudo soulbox backup restore /backup/monday --encrypt-disks',
    ],
  },
  args: {
    source: { type: 'positional', required: true, description: 'Folder of the backup' },
    'data-dir': {
      ...dataDirArg,
      description: 'Folder to restore into; must be missing or empty (default /var/lib/soulbox)',
    },
    'encrypt-disks': {
      type: 'boolean',
      description: 'Encrypt files of sandboxes, volumes and buckets in the data folder (SOULBOX_ENCRYPT_DISKS)',
    },
    json: jsonArg,
  },
  async run({ args }) {
    const { dataDirectory } = resolveFolders(args['data-dir']);
    const flags = args['encrypt-disks'] === true ? { encryptDisks: true } : {};
    const { keyring, runner } = loadBoxConfig(environment, { dataDirectory, ...flags });
    const { backup, warnings } = await (async () => {
      using progress = createProgress('Restore:');
      return await restore({
        ...{ source: resolve(args.source), target: dataDirectory, signal: abortOnSignal() },
        ...(runner.encryptDisks ? { encryptWith: keyring } : {}),
        onStep: (text) => progress.step(text),
      });
    })();
    const { sandboxCount, snapshotCount, volumeCount, leftOut } = backup;
    if (args.json === true)
      console.log(JSON.stringify({ dataDirectory, sandboxCount, snapshotCount, volumeCount, leftOut, warnings }));
    else {
      const from = new Date(backup.createdAtMs).toISOString();
      const counts = `${sandboxCount} sandboxes, all paused, ${snapshotCount} snapshots and templates, ${volumeCount} volumes`;
      console.log(`Restored ${dataDirectory} to its state of ${from}: ${counts}.`);
      for (const warning of warnings) console.error(`Warning: ${warning}`);
    }
  },
});
