import { defineCommand } from 'citty';
import { isListed, openTemplateStore } from '@soulbox/templates';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiTemplate } from '../../api/wire.ts';
import { resolveFolders } from '../../config.ts';
import { printList } from '../../output/print-list.ts';
import { showBytes } from '../../output/table.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';

export const listTemplates = defineCommand({
  meta: {
    name: 'list',
    description: 'List the templates of the team and of the server',
    examples: ['soulbox template list', 'soulbox template list --json'],
  },
  args: {
    host: {
      type: 'boolean',
      description: 'Only those of the server, read from the disk of the host, with size and source',
    },
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    if (args.host === true) {
      await listOnHost(args['data-dir'], args);
      return;
    }
    const { body: templates } = await callApi<ApiTemplate[]>(await findApi(args['data-dir']), { path: '/templates' });
    printList(
      templates,
      {
        NAME: (template) => template.names.join(', ') || '(replaced)',
        ID: (template) => template.templateID,
        BUILD: (template) => template.buildStatus,
        TAGS: (template) => template.tags.join(', '),
        PUBLIC: (template) => (template.public ? 'yes' : 'no'),
        CPU: (template) => template.cpuCount,
        MEMORY: (template) => `${template.memoryMB} MiB`,
        BUILDS: (template) => template.buildCount,
        SANDBOXES: (template) => template.spawnCount,
      },
      args,
    );
  },
});

async function listOnHost(
  dataDirFlag: string | undefined,
  args: { readonly json?: boolean | undefined },
): Promise<void> {
  const store = openTemplateStore(resolveFolders(dataDirFlag).templatesDirectory);
  const templates = (await store.list()).filter(isListed);
  printList(
    templates,
    {
      ID: (template) => template.templateId,
      NAME: (template) => template.names.join(', ') || '(replaced)',
      CPU: (template) => template.cpuCount,
      MEMORY: (template) => `${template.memoryMb} MiB`,
      SIZE: (template) => showBytes(template.sizeBytes),
      CREATED: (template) => template.createdAt,
      SOURCE: (template) => template.source,
    },
    args,
  );
}
