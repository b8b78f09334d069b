import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import { apiDataDirArg, jsonArg, snapshotArg } from '../../program/shared-args.ts';

export const deleteSnapshot = defineCommand({
  meta: { name: 'delete', description: 'Delete a snapshot; sandboxes made from it go on' },
  args: { snapshot: snapshotArg, 'data-dir': apiDataDirArg, json: jsonArg },
  async run({ args }) {
    const api = await findApi(args['data-dir']);
    await callApi(api, { method: 'DELETE', path: `/snapshots/${encodeURIComponent(args.snapshot)}` });
    if (args.json === true) console.log(JSON.stringify({ snapshotID: args.snapshot, deleted: true }));
    else console.log(`Deleted ${args.snapshot}.`);
  },
});
