import { defineCommand } from 'citty';
import { pairsFlag } from '../../command-line/repeated-flags.ts';
import { apiDataDirArg, sandboxArg } from '../../command-line/shared-args.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { environment } from '../../config.ts';
import { parseDetachKeys } from '../../process/detach-keys.ts';
import { getProcess } from '../../process/find-process.ts';
import { parseFrom } from '../../process/parse-from.ts';
import { detachKeysArg, fromArg, processArgs, terminalVariables } from '../../process/process-args.ts';
import { runSession } from '../../process/session.ts';
import { showEnd } from '../../process/show-end.ts';
import { startProcess } from '../../process/start-process.ts';
import { sizeOf } from '../../process/terminal.ts';
import { withSandbox } from '../../process/with-sandbox.ts';
import type { SandboxAction } from '../../process/with-sandbox.ts';

const bash = '/bin/bash';

export const connectSandbox = defineCommand({
  meta: {
    name: 'connect',
    description:
      'Open a shell in a sandbox. Ctrl-P Ctrl-Q leaves it while it continues, and --attach comes back; a lost connection is made again',
    examples: ['soulbox sandbox connect ID', 'soulbox sandbox connect ID --user root'],
  },
  args: {
    sandbox: sandboxArg,
    attach: {
      type: 'string',
      description: 'Come back to this process instead: its pid, id or tag',
      valueHint: 'PROCESS',
    },
    from: { ...fromArg, description: `With --attach: ${fromArg.description.toLowerCase()}` },
    'detach-keys': detachKeysArg,
    ...processArgs,
    'data-dir': apiDataDirArg,
  },
  async run({ args, rawArgs }) {
    const detachKeys = parseDetachKeys(args['detach-keys']);
    const from = parseFrom(args.from);
    const { attach } = args;
    if (attach === undefined && args.from !== undefined) throw new UsageError('--from needs --attach.');
    const given = { user: args.user, cwd: args.cwd, env: args.env };
    const [name] = Object.entries(given).find(([, value]) => value !== undefined) ?? [];
    if (attach !== undefined && name !== undefined)
      throw new UsageError(`--${name} is for new shells. Leave it out with --attach.`);
    // The shell of a login. Sandboxes have bash, except for those from small images.
    const shell = {
      ...{ command: '/bin/sh', args: ['-c', `if [ -x ${bash} ]; then exec ${bash} -l; fi; exec /bin/sh -l`] },
      ...{ user: args.user, cwd: args.cwd, env: { ...terminalVariables(environment), ...pairsFlag(rawArgs, 'env') } },
      ...{ terminal: sizeOf(process.stdout), hasInput: true, isDetached: false },
    };
    const act: SandboxAction = async (sandbox, signals) => {
      const { process: found, opened } =
        attach === undefined
          ? await startProcess({ sandbox, signals }, shell)
          : { process: await signals.orInterrupted(getProcess(sandbox, attach)) };
      if (!found.hasTerminal)
        throw new UsageError(
          `Process ${found.pid} has no terminal. Use: soulbox sandbox attach ${args.sandbox} ${found.id}`,
        );
      const session = { sandbox, process: found, opened, from, hasInput: true, detachKeys, signals };
      return showEnd(
        await runSession({ ...session, isOwn: attach === undefined, acknowledges: attach === undefined }),
        args.sandbox,
        found,
      );
    };
    return await withSandbox(args, act, { isTerminal: true });
  },
});
