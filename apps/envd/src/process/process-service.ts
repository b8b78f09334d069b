import { constants } from 'node:os';
import { create } from '@bufbuild/protobuf';
import type { ServiceImpl } from '@connectrpc/connect';
import { Code, ConnectError } from '@connectrpc/connect';
import { SoulBoxError } from '@soulbox/base';
import type { Process, ProcessInput, StartRequest } from '@soulbox/contract/process';
import { ProcessConfigSchema, Signal } from '@soulbox/contract/process';
import { signalGroup } from '../sys/signal.ts';
import { userByAuthorization } from '../users/caller.ts';
import { logOf } from './log-choice.ts';
import type { ManagedProcess } from './managed-process.ts';
import type { ProcessSpec } from './managed-process.ts';
import type { ProcessContext } from './start-process.ts';
import { killAtDeadline, startProcess } from './start-process.ts';
import { streamEvents } from './stream-events.ts';
import { parseTerminalSize } from './terminal-size.ts';

/** As for a process of soulbox.process.v1 without a time of its own. */
const e2bKeepMs = 600_000;

/** The service process.Process. */
export function processService(context: ProcessContext): ServiceImpl<typeof Process> {
  const { processes } = context;
  return {
    list: () => ({
      processes: processes
        .alive()
        .map(({ config, pid, tag }) => ({ config, pid, ...(tag === undefined ? {} : { tag }) })),
    }),

    async *start(request, call) {
      const user = userByAuthorization(context, call.requestHeader.get('authorization'));
      const process = startProcess(context, user, specOf(request, logOf(call.requestHeader)));
      const timeoutMs = call.timeoutMs();
      if (timeoutMs !== undefined) killAtDeadline(process, timeoutMs);
      yield* streamEvents(process, call);
    },

    async *connect(request, call) {
      yield* streamEvents(processes.get(request.process), call);
    },

    update({ process: selector, pty }) {
      const { input } = processes.getAlive(selector);
      if (input.kind !== 'pty') throw new SoulBoxError('process_state', 'The process has no terminal.');
      if (pty !== undefined) input.resize(parseTerminalSize(pty));
      return {};
    },

    async sendInput({ process: selector, input }, call) {
      await writeInput(processes.getAlive(selector), input, call.signal);
      return {};
    },

    async streamInput(messages, call) {
      let process: ManagedProcess | undefined;
      for await (const { event } of messages) {
        if (event.case === 'start') process = processes.getAlive(event.value.process);
        else if (event.case === 'data') {
          if (process === undefined) throw new SoulBoxError('bad_request', 'The stream must begin with a start event.');
          await writeInput(process, event.value.input, call.signal);
        }
      }
      return {};
    },

    sendSignal({ process: selector, signal }) {
      const process = processes.getAlive(selector);
      const number = signalNumber(signal);
      if (!signalGroup(process.pid, number)) {
        throw new SoulBoxError('process_not_found', `process with pid ${process.pid} has ended`);
      }
      return {};
    },

    async closeStdin({ process: selector }) {
      const { input } = processes.getAlive(selector);
      if (input.kind === 'pty')
        throw new ConnectError('The input of a terminal cannot be closed. Send Ctrl-D instead.', Code.Unknown);
      if (input.kind === 'stdin') await input.writer.close();
      return {};
    },
  };
}

function specOf(request: StartRequest, log: ProcessSpec['log']): ProcessSpec {
  return {
    ...{ id: undefined, origin: 'e2b', digest: '', tag: request.tag, log, keepMs: e2bKeepMs },
    config: request.process ?? create(ProcessConfigSchema),
    terminal: request.pty === undefined ? undefined : parseTerminalSize(request.pty),
    hasInput: request.stdin ?? true,
  };
}

async function writeInput(
  process: ManagedProcess,
  input: ProcessInput | undefined,
  signal: AbortSignal,
): Promise<void> {
  const data = input?.input;
  if (data?.case === undefined) throw new SoulBoxError('bad_request', 'The request does not contain any input.');
  const target = process.input;
  if (data.case === 'stdin' && target.kind === 'pty') {
    throw new SoulBoxError('process_state', 'The process has a terminal. Send its input as pty.');
  }
  if (data.case === 'pty' && target.kind !== 'pty')
    throw new SoulBoxError('process_state', 'The process has no terminal.');
  if (target.kind === 'none') throw new SoulBoxError('process_state', 'The process was started without input.');
  await target.writer.write(data.value, signal);
}

function signalNumber(signal: Signal): number {
  if (signal === Signal.SIGTERM) return constants.signals.SIGTERM;
  if (signal === Signal.SIGKILL) return constants.signals.SIGKILL;
  throw new SoulBoxError('not_implemented', `invalid signal: ${String(signal)}`);
}
