import { defineCommand } from 'citty';
import { snapshotArg } from '../../command-line/shared-args.ts';
import { downloadExport, exportArgs } from '../export/download-export.ts';

export const exportSnapshot = defineCommand({
  meta: {
    name: 'export',
    description: 'Write a snapshot to one signed file, which another server can import',
    examples: [
      'soulbox snapshot export ready:v1 --output ready.soulbox',
      'soulbox snapshot export ready:v1 --output - | ssh host soulbox import -',
    ],
  },
  args: { snapshot: snapshotArg, ...exportArgs },
  async run({ args }) {
    await downloadExport(`/snapshots/${encodeURIComponent(args.snapshot)}/export`, args.snapshot, args);
  },
});
