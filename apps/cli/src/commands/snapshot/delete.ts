import { defineDeleteCommand } from '../../program/delete-command.ts';
import { snapshotArg } from '../../program/shared-args.ts';

export const deleteSnapshot = defineDeleteCommand({
  description: 'Delete a snapshot; sandboxes made from it go on',
  noun: 'snapshot',
  argument: snapshotArg,
  key: 'snapshotID',
  pathOf: (id) => `/snapshots/${encodeURIComponent(id)}`,
});
