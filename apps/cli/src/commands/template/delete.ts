import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import { apiDataDirArg, builtTemplateArg, jsonArg } from '../../program/shared-args.ts';

export const deleteTemplate = defineCommand({
  meta: { name: 'delete', description: 'Delete a template of the team with its builds; it must have no sandboxes' },
  args: { template: builtTemplateArg, 'data-dir': apiDataDirArg, json: jsonArg },
  async run({ args }) {
    const path = `/templates/${encodeURIComponent(args.template)}`;
    await callApi(await findApi(args['data-dir']), { method: 'DELETE', path });
    if (args.json === true) console.log(JSON.stringify({ template: args.template, deleted: true }));
    else console.log(`Deleted ${args.template}.`);
  },
});
