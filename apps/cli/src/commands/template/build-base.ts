import { defineCommand } from 'citty';
import { createLogger } from '@soulbox/base';
import { buildBaseTemplate, openTemplateStore } from '@soulbox/templates';
import { resolveFolders } from '../../config.ts';
import { createProgress } from '../../output/progress.ts';
import { dataDirArg, jsonArg } from '../../program/shared-args.ts';

export const buildBase = defineCommand({
  meta: { name: 'build-base', description: 'Make the template "base" from Debian packages (about 25 s)' },
  args: {
    force: { type: 'boolean', description: 'Replace the present one; sandboxes that use it go on with the old one' },
    'data-dir': dataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const store = openTemplateStore(resolveFolders(args['data-dir']).templatesDirectory);
    using progress = createProgress('Building the base template:');
    const template = await buildBaseTemplate(store, {
      replace: args.force === true,
      logger: createLogger({ level: 'warn' }),
      onProgress: (step) => progress.step(step),
    });
    console.log(args.json === true ? JSON.stringify(template) : template.templateId);
  },
});
