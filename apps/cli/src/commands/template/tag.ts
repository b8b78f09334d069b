import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';

export const tagTemplate = defineCommand({
  meta: {
    name: 'tag',
    description: 'Point tags at the build that another tag points at, or remove tags',
    examples: ['soulbox template tag web:v2 stable,latest', 'soulbox template tag web stable --remove'],
  },
  args: {
    template: { type: 'positional', required: true, description: 'NAME:TAG; with --remove: NAME' },
    tags: { type: 'positional', required: true, description: 'Tags, separated by commas' },
    remove: { type: 'boolean', description: 'Remove these tags instead' },
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const api = await findApi(args['data-dir']);
    const tags = args.tags.split(',').map((tag) => tag.trim());
    const path = '/templates/tags';
    if (args.remove === true) await callApi(api, { method: 'DELETE', path, body: { name: args.template, tags } });
    else await callApi(api, { method: 'POST', path, body: { target: args.template, tags } });
    const done = args.remove === true ? 'removed' : 'assigned';
    if (args.json === true) console.log(JSON.stringify({ template: args.template, tags, [done]: true }));
    else console.log(`${tags.join(', ')}: ${done}.`);
  },
});
