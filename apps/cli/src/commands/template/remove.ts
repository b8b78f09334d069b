import { defineCommand } from 'citty';
import { findTemplatesInUse } from '@soulbox/box';
import { openTemplateStore } from '@soulbox/templates';
import { resolveFolders } from '../../config.ts';
import { dataDirArg, jsonArg } from '../../command-line/shared-args.ts';

export const removeTemplate = defineCommand({
  meta: {
    name: 'remove',
    description: 'Delete a template that no sandbox uses',
    examples: ['sudo soulbox template remove desktop', 'sudo soulbox template remove desktop --json'],
  },
  args: {
    template: { type: 'positional', required: true, description: 'Its id or name' },
    'data-dir': dataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const { dataDirectory, templatesDirectory } = resolveFolders(args['data-dir']);
    const store = openTemplateStore(templatesDirectory);
    const inUse = await findTemplatesInUse(dataDirectory);
    const { templateId, names } = await store.remove(args.template, (id) => inUse.has(id));
    if (args.json === true) console.log(JSON.stringify({ templateId, names, removed: true }));
    else console.log(`Removed ${templateId}.`);
  },
});
