import { defineCommand } from 'citty';
import { SoulBoxError } from '@soulbox/base';
import { findServer } from '@soulbox/box/server-file';
import { resolveFolders } from '../../config.ts';
import { dataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { readClientEnvironment, toShellLines } from '../../server/client-lines.ts';

export const env = defineCommand({
  meta: {
    name: 'env',
    description: 'Print the variables that E2B clients need: eval "$(soulbox env)"',
    examples: ['eval "$(sudo soulbox env)"', 'sudo soulbox env --tls'],
  },
  args: {
    'data-dir': dataDirArg,
    tls: { type: 'boolean', description: 'Only the variables for access over TLS' },
    json: jsonArg,
  },
  async run({ args }) {
    const { dataDirectory } = resolveFolders(args['data-dir']);
    const server = await findServer(dataDirectory);
    if (server?.state !== 'ready') {
      throw new SoulBoxError(
        'host_not_ready',
        `No server is running for ${dataDirectory}. Start one with "soulbox up --detach".`,
      );
    }
    const tls = args.tls === true;
    const variables = await readClientEnvironment(dataDirectory, server, tls);
    console.log(args.json === true ? JSON.stringify(variables) : toShellLines(variables, tls));
  },
});
