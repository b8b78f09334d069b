import { defineCommand } from 'citty';
import { printable } from '@soulbox/envd-client/printable';
import { Origin } from '@soulbox/contract/process-v1';
import type { Process } from '@soulbox/contract/process-v1';
import { apiDataDirArg, jsonArg, sandboxArg } from '../../command-line/shared-args.ts';
import { printList } from '../../output/print-list.ts';
import { shellQuote } from '../../output/shell-quote.ts';
import { listProcesses } from '../../process/find-process.ts';
import { withSandbox } from '../../process/with-sandbox.ts';

const commandMaxLength = 120;

export const listSandboxProcesses = defineCommand({
  meta: {
    name: 'processes',
    description:
      'List the processes that clients have started in a sandbox, oldest first, and ended ones whose output is kept',
    examples: ['soulbox sandbox processes ID', 'soulbox sandbox processes ID --json'],
  },
  args: { sandbox: sandboxArg, 'data-dir': apiDataDirArg, json: jsonArg },
  async run({ args }) {
    return await withSandbox(args, async (sandbox, signals) => {
      const processes = await signals.orInterrupted(listProcesses(sandbox));
      if (args.json === true) console.log(JSON.stringify(processes.map(jsonOf)));
      else
        printList(
          processes,
          {
            PID: ({ pid }) => pid,
            STATE: stateOf,
            STARTED: ({ startedAtMs }) => new Date(Number(startedAtMs)).toISOString(),
            USER: ({ user }) => inLine(user),
            TERMINAL: ({ hasTerminal }) => (hasTerminal ? 'yes' : 'no'),
            BY: ({ origin }) => (origin === Origin.E2B ? 'E2B' : 'SoulBox'),
            OUTPUT: ({ log }) => String(log?.end ?? 0),
            TAG: ({ tag }) => inLine(tag ?? ''),
            COMMAND: commandOf,
            ID: ({ id }) => id,
          },
          {},
        );
      return 0;
    });
  },
});

function stateOf({ exit }: Process): string {
  if (exit === undefined) return 'running';
  return exit.signal > 0 ? `signal ${exit.signal}` : `exit ${exit.code}`;
}

function commandOf({ command }: Process): string {
  const text = inLine([command?.program ?? '', ...(command?.args ?? [])].map(shellQuote).join(' '));
  return text.length > commandMaxLength ? `${text.slice(0, commandMaxLength)}…` : text;
}

/** Text from inside the sandbox, for one cell. */
const inLine = (text: string): string => printable(text).replace(/[\n\t]/g, '·');

function jsonOf({ id, pid, tag, command, user, origin, startedAtMs, hasTerminal, log, exit }: Process): object {
  return {
    ...{ processID: id, pid, tag: tag ?? null, user, hasTerminal },
    command: { program: command?.program ?? '', args: command?.args ?? [], cwd: command?.cwd ?? '' },
    startedBy: origin === Origin.E2B ? 'e2b' : 'soulbox',
    startedAt: new Date(Number(startedAtMs)).toISOString(),
    output: { start: Number(log?.oldest ?? 0), end: Number(log?.end ?? 0) },
    exit: exit === undefined ? null : { code: exit.code, signal: exit.signal, status: exit.status },
  };
}
