import { defineCommand } from 'citty';
import { loadBoxConfig } from '@soulbox/box/config';
import { recoverFromStore } from '@soulbox/box/storage';
import type { Recovered } from '@soulbox/box/storage';
import { printable } from '@soulbox/envd-client/printable';
import { openObjectStore } from '@soulbox/storage/objects';
import { readStorageKey } from '@soulbox/vault';
import { environment, resolveFolders, storageVariables } from '../../config.ts';
import { exitCodes } from '../../command-line/exit-codes.ts';
import { dataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { orInterrupted } from '../../output/abort-on-signal.ts';
import { createProgress } from '../../output/progress.ts';

export const recoverStorage = defineCommand({
  meta: {
    name: 'recover',
    description: 'Make a data folder from what a lost server has uploaded; exit code 1 if something was lost',
    examples: [
      'sudo soulbox storage recover --storage "s3://bucket/prefix?region=eu-central-1" --key-file /root/storage.key',
      'sudo soulbox storage recover --data-dir /var/lib/soulbox --all --json',
    ],
  },
  args: {
    storage: { type: 'string', description: 'URL of the store (default: SOULBOX_STORAGE)', valueHint: 'URL' },
    'credentials-file': {
      type: 'string',
      description: 'JSON file with its credentials (default: SOULBOX_STORAGE_CREDENTIALS_FILE)',
      valueHint: 'FILE',
    },
    'key-file': {
      type: 'string',
      description: 'File with the storage key (default: SOULBOX_STORAGE_KEY_FILE)',
      valueHint: 'FILE',
    },
    server: { type: 'string', description: 'Id of the server, if several use the store', valueHint: 'ID' },
    'data-dir': {
      ...dataDirArg,
      description: 'Folder to make; must be missing or empty (default /var/lib/soulbox)',
    },
    all: {
      type: 'boolean',
      description: 'Fetch memory, disks, layers and contents of volumes too (default: when they are needed)',
    },
    'encrypt-disks': {
      type: 'boolean',
      description: 'Encrypt files of sandboxes, volumes and buckets in the data folder (SOULBOX_ENCRYPT_DISKS)',
    },
    json: jsonArg,
  },
  async run({ args }) {
    const variables = storageVariables();
    const url = args.storage ?? variables.url;
    const keyFile = args['key-file'] ?? variables.keyFile;
    if (url === undefined) throw new UsageError('Give --storage URL, or set SOULBOX_STORAGE.');
    if (keyFile === undefined) throw new UsageError('Give --key-file FILE, or set SOULBOX_STORAGE_KEY_FILE.');
    const storageKey = await readStorageKey(keyFile);
    const folders = resolveFolders(args['data-dir']);
    const flags = args['encrypt-disks'] === true ? { encryptDisks: true } : {};
    const { keyring, runner } = loadBoxConfig(environment, { dataDirectory: folders.dataDirectory, ...flags });
    return await orInterrupted(async (signal) => {
      const credentialsFile = args['credentials-file'] ?? variables.credentialsFile;
      await using store = await openObjectStore(url, { credentialsFile });
      const recovered = await (async () => {
        using progress = createProgress('Recover:');
        return await recoverFromStore({
          ...{ store, storageKey, serverId: args.server, ...folders, all: args.all === true, signal },
          ...(runner.encryptDisks ? { encryptWith: keyring } : {}),
          onStep: (text) => progress.step(text),
        });
      })();
      if (args.json === true) console.log(JSON.stringify({ ...folders, ...recovered }));
      else print(folders.dataDirectory, recovered);
      return recovered.lost.length === 0 ? exitCodes.ok : exitCodes.failed;
    });
  },
});

function print(dataDirectory: string, recovered: Recovered): void {
  const { serverId, sandboxes, snapshots, volumes, lost, warnings } = recovered;
  const counts = `${sandboxes} sandboxes, all paused, ${snapshots} snapshots and templates, ${volumes.length} volumes`;
  console.log(`Recovered ${dataDirectory} of server ${serverId}: ${counts}. Start a server on it with "soulbox up".`);
  for (const { id, asOf } of volumes) console.log(`Volume ${id} is as it was at ${asOf}.`);
  for (const { what, id, reason } of lost) console.error(`Lost: ${what} ${id}: ${printable(reason)}`);
  for (const warning of warnings) console.error(`Warning: ${warning}`);
}
