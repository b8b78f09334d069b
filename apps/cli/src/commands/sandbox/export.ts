import { defineCommand } from 'citty';
import { sandboxArg } from '../../command-line/shared-args.ts';
import { downloadExport, exportArgs } from '../export/download-export.ts';

export const exportSandbox = defineCommand({
  meta: {
    name: 'export',
    description: 'Write a sandbox to one signed file, which another server can import; the sandbox continues',
    examples: [
      'soulbox sandbox export ID --output shop.soulbox',
      'soulbox sandbox export ID --memory --output - | ssh host soulbox import -',
    ],
  },
  args: { sandbox: sandboxArg, ...exportArgs },
  async run({ args }) {
    await downloadExport(`/sandboxes/${encodeURIComponent(args.sandbox)}/export`, args.sandbox, args);
  },
});
