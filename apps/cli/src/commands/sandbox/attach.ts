import { defineCommand } from 'citty';
import { apiDataDirArg, sandboxArg } from '../../command-line/shared-args.ts';
import { parseDetachKeys } from '../../process/detach-keys.ts';
import { getProcess } from '../../process/find-process.ts';
import { parseFrom } from '../../process/parse-from.ts';
import { detachKeysArg, fromArg } from '../../process/process-args.ts';
import { runSession } from '../../process/session.ts';
import { showEnd } from '../../process/show-end.ts';
import { withSandbox } from '../../process/with-sandbox.ts';

export const attachProcessOfSandbox = defineCommand({
  meta: {
    name: 'attach',
    description:
      'Show the output of a process of a sandbox until it ends, whoever started it; exits with its exit code, and with 130 after Ctrl-C, which leaves it running',
    examples: ['soulbox sandbox attach ID PROCESS', 'soulbox sandbox attach ID PROCESS --from=0'],
  },
  args: {
    sandbox: sandboxArg,
    process: { type: 'positional', required: true, description: 'Its pid, id or tag, see sandbox processes' },
    interactive: { type: 'boolean', alias: 'i', description: 'Pass standard input on' },
    'take-over': {
      type: 'boolean',
      description: 'Its former reader has gone: what is shown here makes room for further output',
    },
    from: fromArg,
    'detach-keys': detachKeysArg,
    'data-dir': apiDataDirArg,
  },
  async run({ args }) {
    const detachKeys = parseDetachKeys(args['detach-keys']);
    const from = parseFrom(args.from);
    return await withSandbox(args, async (sandbox, signals) => {
      const found = await signals.orInterrupted(getProcess(sandbox, args.process));
      const hasInput = args.interactive === true;
      const acknowledges = args['take-over'] === true;
      const end = await runSession({
        sandbox,
        process: found,
        from,
        hasInput,
        isOwn: false,
        acknowledges,
        detachKeys,
        signals,
      });
      return showEnd(end, args.sandbox, found);
    });
  },
});
