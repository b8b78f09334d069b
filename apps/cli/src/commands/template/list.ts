import { defineCommand } from 'citty';
import { isListed, openTemplateStore } from '@soulbox/templates';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiTemplate } from '../../api/wire.ts';
import { resolveFolders } from '../../config.ts';
import { renderTable, showBytes } from '../../output/table.ts';
import { apiDataDirArg, jsonArg } from '../../program/shared-args.ts';

export const listTemplates = defineCommand({
  meta: { name: 'list', description: "List the templates that the team built and the server's own" },
  args: {
    host: {
      type: 'boolean',
      description: "Only the server's own, read on its host without asking it: size and source",
    },
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    if (args.host === true) {
      await listOnHost(args['data-dir'], args.json === true);
      return;
    }
    const { body: templates } = await callApi<ApiTemplate[]>(await findApi(args['data-dir']), { path: '/templates' });
    if (args.json === true) {
      console.log(JSON.stringify(templates));
      return;
    }
    const rows = templates.map((template) => [
      template.names.join(', ') || '(replaced)',
      template.templateID,
      template.buildStatus,
      template.tags.join(', '),
      template.public ? 'yes' : 'no',
      `${template.cpuCount}`,
      `${template.memoryMB} MiB`,
      `${template.buildCount}`,
      `${template.spawnCount}`,
    ]);
    const headings = ['NAME', 'ID', 'BUILD', 'TAGS', 'PUBLIC', 'CPU', 'MEMORY', 'BUILDS', 'SANDBOXES'];
    console.log(renderTable(headings, rows));
  },
});

async function listOnHost(dataDirFlag: string | undefined, json: boolean): Promise<void> {
  const store = openTemplateStore(resolveFolders(dataDirFlag).templatesDirectory);
  const templates = (await store.list()).filter(isListed);
  if (json) {
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
}
