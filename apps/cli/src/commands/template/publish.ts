import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiTemplateNames } from '../../api/wire.ts';
import { apiDataDirArg, builtTemplateArg, jsonArg } from '../../command-line/shared-args.ts';

export const publishTemplate = defineCommand({
  meta: {
    name: 'publish',
    description: 'Let all teams of the server use a template',
    examples: ['soulbox template publish web', 'soulbox template publish web --json'],
  },
  args: { template: builtTemplateArg, 'data-dir': apiDataDirArg, json: jsonArg },
  run: async ({ args }) => await setPublic(args, true),
});

export const unpublishTemplate = defineCommand({
  meta: {
    name: 'unpublish',
    description: 'Restrict a template to the team again',
    examples: ['soulbox template unpublish web', 'soulbox template unpublish web --json'],
  },
  args: { template: builtTemplateArg, 'data-dir': apiDataDirArg, json: jsonArg },
  run: async ({ args }) => await setPublic(args, false),
});

interface Args {
  readonly template: string;
  readonly 'data-dir'?: string | undefined;
  readonly json?: boolean | undefined;
}

async function setPublic(args: Args, isPublic: boolean): Promise<void> {
  const path = `/v2/templates/${encodeURIComponent(args.template)}`;
  const body = { public: isPublic };
  const answer = await callApi<ApiTemplateNames>(await findApi(args['data-dir']), { method: 'PATCH', path, body });
  const { names } = answer.body;
  if (args.json === true) console.log(JSON.stringify({ names, public: isPublic }));
  else console.log(`${names.join(', ')}: ${isPublic ? 'public' : 'for the team only'}.`);
}
