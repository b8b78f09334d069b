import { defineCommand } from 'citty';
import { openTemplateStore } from '@soulbox/templates';
import { resolveFolders } from '../../config.ts';
import { dataDirArg, jsonArg } from '../../program/shared-args.ts';

export const removeTemplate = defineCommand({
  meta: { name: 'remove', description: 'Delete a template that no sandbox uses' },
  args: {
    template: { type: 'positional', required: true, description: 'Its id or name' },
    'data-dir': dataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const store = openTemplateStore(resolveFolders(args['data-dir']).templatesDirectory);
    const { templateId, names } = await store.remove(args.template);
    if (args.json === true) console.log(JSON.stringify({ templateId, names, removed: true }));
    else console.log(`Removed ${templateId}.`);
  },
});
