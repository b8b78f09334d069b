import { defineCommand } from 'citty';
import { exitCodes } from '../../command-line/exit-codes.ts';
import { pairsFlag } from '../../command-line/repeated-flags.ts';
import { apiDataDirArg, parseNumberFlag, sandboxArg } from '../../command-line/shared-args.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { environment } from '../../config.ts';
import { parseDetachKeys } from '../../process/detach-keys.ts';
import { detachKeysArg, processArgs, terminalVariables } from '../../process/process-args.ts';
import { runSession } from '../../process/session.ts';
import { showEnd } from '../../process/show-end.ts';
import { startProcess } from '../../process/start-process.ts';
import type { StartedProgram } from '../../process/start-process.ts';
import { sizeOf } from '../../process/terminal.ts';
import { withSandbox } from '../../process/with-sandbox.ts';
import type { SandboxAction } from '../../process/with-sandbox.ts';

/** Of a timer in envd: 2^31 milliseconds. */
const timeoutMaxSeconds = 2_147_483;

export const execInSandbox = defineCommand({
  meta: {
    name: 'exec',
    description:
      'Run a program in a sandbox, with its output and exit code. Examples: exec ID ls -l; tar c . | exec -i ID tar x; exec -t ID bash',
    examples: [
      'soulbox sandbox exec ID ls -l /home/user',
      'soulbox sandbox exec -it ID bash',
      'tar c . | soulbox sandbox exec -i ID tar x -C /tmp',
    ],
  },
  args: {
    sandbox: sandboxArg,
    command: { type: 'positional', required: true, description: 'The program. No shell reads it' },
    args: { type: 'positional', required: false, description: 'Its arguments, including options' },
    interactive: { type: 'boolean', alias: 'i', description: 'Pass standard input on (default: it has none)' },
    tty: { type: 'boolean', alias: 't', description: 'Run it in a terminal, with input' },
    detach: { type: 'boolean', alias: 'd', description: 'Only start it, and print its process id' },
    ...processArgs,
    timeout: { type: 'string', description: 'Seconds after which it is killed (default: never)', valueHint: 'SECONDS' },
    'detach-keys': detachKeysArg,
    'data-dir': apiDataDirArg,
    json: { type: 'boolean', description: 'With --detach: print JSON' },
  },
  async run({ args, rawArgs }) {
    const [, command = '', ...programArgs] = args._;
    const hasTerminal = args.tty === true;
    const isDetached = args.detach === true;
    if (isDetached && (hasTerminal || args.interactive === true))
      throw new UsageError('--detach cannot be used with --interactive or --tty: nobody would write to it.');
    const program: StartedProgram = {
      ...{ command, args: programArgs, user: args.user, cwd: args.cwd, isDetached },
      env: { ...(hasTerminal ? terminalVariables(environment) : {}), ...pairsFlag(rawArgs, 'env') },
      terminal: hasTerminal ? sizeOf(process.stdout) : undefined,
      hasInput: hasTerminal || args.interactive === true,
      timeoutSeconds: parseNumberFlag('timeout', args.timeout, 1, timeoutMaxSeconds),
    };
    const detachKeys = parseDetachKeys(args['detach-keys']);
    const act: SandboxAction = async (sandbox, signals) => {
      const { process: started, opened } = await startProcess({ sandbox, signals }, program);
      if (isDetached) {
        console.log(args.json === true ? JSON.stringify({ processID: started.id, pid: started.pid }) : started.id);
        return exitCodes.ok;
      }
      const { hasInput } = program;
      const end = await runSession({
        sandbox,
        process: started,
        opened,
        hasInput,
        isOwn: true,
        acknowledges: true,
        detachKeys,
        signals,
      });
      return showEnd(end, args.sandbox, started);
    };
    return await withSandbox(args, act, { isTerminal: hasTerminal });
  },
});
