import { resolve } from 'node:path';
import { defineCommand } from 'citty';
import { createMasterKeyFile } from '@soulbox/keyring';
import { jsonArg } from '../../command-line/shared-args.ts';

export const createMasterKey = defineCommand({
  meta: {
    name: 'create-master',
    description: 'Create a file with a master key, for SOULBOX_MASTER_KEY_FILE',
    examples: [
      'sudo soulbox key create-master /etc/soulbox/master-key',
      'sudo soulbox key create-master /etc/soulbox/master-key --json',
    ],
  },
  args: {
    file: { type: 'positional', required: true, description: 'The new file; keep a copy of it in a safe place' },
    json: jsonArg,
  },
  async run({ args }) {
    const id = await createMasterKeyFile(resolve(args.file));
    if (args.json === true) console.log(JSON.stringify({ id, file: resolve(args.file) }));
    else console.log(id);
  },
});
