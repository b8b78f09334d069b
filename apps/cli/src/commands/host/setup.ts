import { defineCommand } from 'citty';
import { createLogger } from '@soulbox/base/logger';
import { resolveFolders } from '../../config.ts';
import { dataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { prepareEverything } from '../../server/prepare.ts';

export const setup = defineCommand({
  meta: {
    name: 'setup',
    description:
      'Prepare the host (kernel settings, control groups; in a clone, also the command in /usr/local/bin) and build the base template',
    examples: ['sudo soulbox setup --install'],
  },
  args: {
    'data-dir': dataDirArg,
    install: { type: 'boolean', description: 'Also install missing packages (Debian and Ubuntu)' },
    json: jsonArg,
  },
  async run({ args }) {
    const folders = resolveFolders(args['data-dir']);
    const logger = createLogger({ level: 'warn' });
    await prepareEverything(folders, { install: args.install === true, logger, launcher: true });
    if (args.json === true) console.log(JSON.stringify({ ready: true, ...folders }));
    else console.log('The host is ready.');
  },
});
