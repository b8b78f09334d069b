import { join } from 'node:path';
import { defineCommand } from 'citty';
import { runnerKeysFileIn } from '@soulbox/box/data-folder';
import { readConfig, refuseFaults } from '@soulbox/base/config';
import { fileKeyringRecords, lockRotation, openMasterKeySources, rotateMasterKey } from '@soulbox/keyring';
import type { Rotation } from '@soulbox/keyring';
import { findKeyringFaults, keyringConfigSchema } from '@soulbox/keyring/config';
import { dataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { environment, resolveFolders } from '../../config.ts';
import { openRecords } from '../../records/open-records.ts';

export const rotateMaster = defineCommand({
  meta: {
    name: 'rotate-master',
    description: 'Replace the master key while the server runs; continues an interrupted rotation',
    examples: ['sudo soulbox key rotate-master', 'sudo soulbox key rotate-master --keep-old'],
  },
  args: {
    'keep-old': { type: 'boolean', description: 'Keep the old key in its file, for backups from before' },
    'data-dir': dataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const faults: string[] = [];
    const config = readConfig(keyringConfigSchema, environment, { faults });
    refuseFaults([...faults, ...findKeyringFaults(config)]);
    const { dataDirectory } = resolveFolders(args['data-dir']);
    const { records } = await openRecords(dataDirectory, { adds: true });
    await using _records = records;
    await using _lock = await lockRotation(dataDirectory);
    const sources = await openMasterKeySources({
      config,
      defaultFile: join(dataDirectory, 'control/secrets/master-key'),
    });
    const rotation = await rotateMasterKey({
      records: [records.keyring, fileKeyringRecords(runnerKeysFileIn(dataDirectory))],
      sources,
      keepOld: args['keep-old'] === true,
      onProgress: (rewrapped, total) => {
        if (args.json !== true) console.error(`${rewrapped} of ${total} data keys`);
      },
    });
    if (args.json === true) console.log(JSON.stringify(rotation));
    else console.log(describe(rotation).join('\n'));
  },
});

function describe({ to, isContinued, rewrapped, isErased, retired }: Rotation): string[] {
  const started = isContinued ? ['Continued an interrupted rotation.'] : [];
  const old = retired.map(({ id, isRemoved }) =>
    isRemoved
      ? `${id} was removed. Backups from before need it: they contain it unless SOULBOX_MASTER_KEY_FILE was set.`
      : `${id} is not used any more. You can remove it when no backup needs it.`,
  );
  const erased = isErased
    ? []
    : ['Old wrappings are still in the files of the records, because another process reads them.'];
  return [...started, `Re-wrapped ${rewrapped} data keys with ${to}. None is left on an old key.`, ...old, ...erased];
}
