import { defineCommand } from 'citty';
import { findApi } from '../../api/connection.ts';
import { reachSandbox } from '../../api/reach-sandbox.ts';
import { apiDataDirArg, fileUserArg } from '../../command-line/shared-args.ts';
import { parseSandboxPlace } from '../../copy/place.ts';
import { printBytes } from '../../copy/print-bytes.ts';
import { readBytes } from '../../copy/receive.ts';
import { orInterrupted } from '../../output/abort-on-signal.ts';

export const printFile = defineCommand({
  meta: {
    name: 'cat',
    description: 'Print a file of a sandbox, byte for byte',
    examples: ['soulbox sandbox cat ID:/etc/os-release', 'soulbox sandbox cat ID:results.csv | head'],
  },
  args: {
    file: { type: 'positional', required: true, description: 'ID:PATH' },
    user: fileUserArg,
    'data-dir': apiDataDirArg,
  },
  async run({ args }) {
    const { sandboxId, path } = parseSandboxPlace(args.file);
    const sandbox = await reachSandbox(await findApi(args['data-dir']), sandboxId);
    return await orInterrupted(
      async (signal) => await printBytes((stop) => readBytes(sandbox, { path, user: args.user, signal: stop }), signal),
    );
  },
});
