import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiTemplateWithBuilds } from '../../api/wire.ts';
import { renderFacts } from '../../output/facts.ts';
import { renderTable } from '../../output/table.ts';
import { apiDataDirArg, builtTemplateArg, jsonArg } from '../../command-line/shared-args.ts';

export const showTemplate = defineCommand({
  meta: {
    name: 'show',
    description: 'Show a template of the team with its newest builds',
    examples: ['soulbox template show web', 'soulbox template show web --json'],
  },
  args: { template: builtTemplateArg, 'data-dir': apiDataDirArg, json: jsonArg },
  async run({ args }) {
    const path = `/templates/${encodeURIComponent(args.template)}`;
    const { body } = await callApi<ApiTemplateWithBuilds>(await findApi(args['data-dir']), { path });
    if (args.json === true) {
      console.log(JSON.stringify(body));
      return;
    }
    const { builds, aliases: _, ...facts } = body;
    const rows = builds.map((build) => [
      build.buildID,
      build.status,
      build.tags.join(', '),
      `${build.cpuCount}`,
      `${build.memoryMB} MiB`,
      build.createdAt,
    ]);
    console.log(renderFacts(facts));
    console.log(`\n${renderTable(['BUILD', 'STATUS', 'TAGS', 'CPU', 'MEMORY', 'REQUESTED'], rows)}`);
  },
});
