import { defineDeleteCommand } from '../delete-command.ts';
import { snapshotArg } from '../../command-line/shared-args.ts';

export const deleteSnapshot = defineDeleteCommand({
  description: 'Delete a snapshot; sandboxes created from it continue to run',
  examples: ['soulbox snapshot delete SNAPSHOT', 'soulbox snapshot delete ready:v1'],
  noun: 'snapshot',
  argument: snapshotArg,
  key: 'snapshotID',
  pathOf: (id) => `/snapshots/${encodeURIComponent(id)}`,
});
