import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ProcessEvent } from '@soulbox/client/process';
import { ExitCause, LogPolicy, Origin, OutputStream } from '@soulbox/contract/process-v1';
import type { Exit, From, Process, StartRequestSchema } from '@soulbox/contract/process-v1';
import { timeLimit, wholeNumber } from './config.ts';
import { SoulBoxError } from './error.ts';
import type {
  AttachFrom,
  LogPolicyName,
  OutputEvent,
  ProcessExit,
  ProcessInfo,
  ProcessOptions,
} from './process-types.ts';

const policies = {
  'drop-oldest': LogPolicy.DROP_OLDEST,
  block: LogPolicy.BLOCK,
  fail: LogPolicy.FAIL,
} satisfies Record<LogPolicyName, LogPolicy>;

/** Throws `config_invalid`. @internal */
export function startToWire(
  program: string,
  args: readonly string[],
  options: ProcessOptions & { readonly id: string },
) {
  const { id, envs = {}, cwd = '', terminal, stdin = false, tag, log = {}, user = '' } = options;
  return {
    ...{ id, command: { program, args: [...args], env: { ...envs }, cwd }, hasInput: stdin, user },
    keepSeconds: wholeNumber('keepSeconds', options.keepSeconds ?? 0),
    ...(terminal === undefined ? {} : { terminal }),
    ...(tag === undefined ? {} : { tag }),
    log: {
      maxBytes: BigInt(wholeNumber('log.maxBytes', log.maxBytes ?? 0)),
      policy: policies[log.policy ?? 'drop-oldest'],
    },
    deadlineMs: BigInt(timeLimit('timeoutMs', options.timeoutMs ?? 0, Number.MAX_SAFE_INTEGER) ?? 0),
  } satisfies MessageInitShape<typeof StartRequestSchema>;
}

/** @internal */
export function fromToWire(from: AttachFrom): From['from'] {
  if (typeof from === 'number') return { case: 'position', value: positionToWire(from) };
  if (typeof from === 'object') return { case: 'lastBytes', value: BigInt(wholeNumber('lastBytes', from.lastBytes)) };
  return { case: from, value: {} } as From['from'];
}

/** @internal */
export function positionToWire(position: number): bigint {
  if (Number.isSafeInteger(position) && position >= 0) return BigInt(position);
  throw new SoulBoxError(`The position ${position} is not a whole number from 0.`, {
    ...{ code: 'out_of_range', reason: 'position_out_of_range' },
  });
}

const streams: Readonly<Record<OutputStream, 'stdout' | 'stderr' | 'terminal'>> = {
  [OutputStream.UNSPECIFIED]: 'stdout',
  [OutputStream.STDOUT]: 'stdout',
  [OutputStream.STDERR]: 'stderr',
  [OutputStream.TERMINAL]: 'terminal',
};

/** @internal */
export function eventFromWire(event: ProcessEvent): OutputEvent {
  switch (event.case) {
    case 'attached':
      return { type: 'attached', position: Number(event.value.position) };
    case 'output': {
      const { position, stream, streamPosition, data } = event.value;
      const places = { position: Number(position), streamPosition: Number(streamPosition) };
      return { type: 'output', stream: streams[stream], data, ...places };
    }
    case 'gap':
      return { type: 'gap', from: Number(event.value.from), to: Number(event.value.to) };
    case 'ended':
      return { type: 'ended', position: Number(event.value.position), exit: exitFromWire(event.value.exit) };
  }
}

const causes: Readonly<Record<ExitCause, ProcessExit['cause']>> = {
  [ExitCause.UNSPECIFIED]: 'own',
  [ExitCause.OWN]: 'own',
  [ExitCause.DEADLINE]: 'deadline',
  [ExitCause.LOG_FULL]: 'log-full',
};

/** @internal */
export function exitFromWire(exit: Exit | undefined): ProcessExit {
  if (exit === undefined)
    throw new SoulBoxError('The response does not say how the process ended.', {
      ...{ code: 'internal', reason: 'invalid_response' },
    });
  const { code, signal, status, cause, endedAtMs } = exit;
  return { code, signal, status, cause: causes[cause], endedAt: new Date(Number(endedAtMs)) };
}

/** @internal */
export function infoFromWire(wire: Process): ProcessInfo {
  const { id, pid, tag, command, user, origin, startedAtMs, hasTerminal, log, exit } = wire;
  return {
    ...{ id, pid, tag, user, hasTerminal },
    cmd: command?.program ?? '',
    args: command?.args ?? [],
    envs: { ...command?.env },
    cwd: command?.cwd === '' ? undefined : command?.cwd,
    origin: origin === Origin.E2B ? 'e2b' : 'soulbox',
    startedAt: new Date(Number(startedAtMs)),
    oldestPosition: Number(log?.oldest ?? 0n),
    endPosition: Number(log?.end ?? 0n),
    exit: exit === undefined ? undefined : exitFromWire(exit),
  };
}
