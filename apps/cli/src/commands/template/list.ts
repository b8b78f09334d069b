import { defineCommand } from 'citty';
import { isListed, openTemplateStore } from '@soulbox/templates';
import { resolveFolders } from '../../config.ts';
import { renderTable, showBytes } from '../../output/table.ts';
import { dataDirArg, jsonArg } from '../../program/shared-args.ts';

export const listTemplates = defineCommand({
  meta: { name: 'list', description: 'List the templates' },
  args: { 'data-dir': dataDirArg, json: jsonArg },
  async run({ args }) {
    const store = openTemplateStore(resolveFolders(args['data-dir']).templatesDirectory);
    const templates = (await store.list()).filter(isListed);
    if (args.json === true) {
      console.log(JSON.stringify(templates));
      return;
    }
    const rows = templates.map((template) => [
      template.templateId,
      template.names.join(', ') || '(replaced)',
      `${template.cpuCount}`,
      `${template.memoryMb} MiB`,
      showBytes(template.sizeBytes),
      template.createdAt,
      template.source,
    ]);
    console.log(renderTable(['ID', 'NAME', 'CPU', 'MEMORY', 'SIZE', 'CREATED', 'SOURCE'], rows));
  },
});
