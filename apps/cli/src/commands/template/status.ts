import { defineCommand } from 'citty';
import { printable } from '@soulbox/envd-client/printable';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiTemplateBuild } from '../../api/wire.ts';
import { renderFacts } from '../../output/facts.ts';
import { apiDataDirArg, builtTemplateArg, jsonArg } from '../../command-line/shared-args.ts';
import { buildArg, findBuild } from './find-build.ts';

export const templateStatus = defineCommand({
  meta: {
    name: 'status',
    description: 'Show the state of a build of a template, and why it failed',
    examples: ['soulbox template status web', 'soulbox template status web BUILD_ID --json'],
  },
  args: { template: builtTemplateArg, build: buildArg, 'data-dir': apiDataDirArg, json: jsonArg },
  async run({ args }) {
    const api = await findApi(args['data-dir']);
    const path = `${await findBuild(api, args.template, args.build)}/status`;
    const { body } = await callApi<ApiTemplateBuild>(api, { path, query: { limit: 1 } });
    const { templateID, buildID, status, reason } = body;
    const facts = { templateID, buildID, status, ...(reason === undefined ? {} : { reason: reason.message }) };
    if (args.json === true) console.log(JSON.stringify(reason === undefined ? facts : { ...facts, reason }));
    else console.log(printable(renderFacts(facts)));
  },
});
