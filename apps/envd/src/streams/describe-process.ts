import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ExitSchema, InputStateSchema, LogStateSchema, ProcessSchema } from '@soulbox/contract/process-v1';
import { ExitCause, LogPolicy, Origin } from '@soulbox/contract/process-v1';
import type { OutputLog } from '../output-log/output-log.ts';
import { exitEvent } from '../process/exit-event.ts';
import type { ManagedProcess } from '../process/managed-process.ts';

const policies = {
  'drop-oldest': LogPolicy.DROP_OLDEST,
  block: LogPolicy.BLOCK,
  fail: LogPolicy.FAIL,
} as const satisfies Record<OutputLog['policy'], LogPolicy>;

const causes = {
  own: ExitCause.OWN,
  deadline: ExitCause.DEADLINE,
  'log-full': ExitCause.LOG_FULL,
} as const satisfies Record<ManagedProcess['cause'], ExitCause>;

export function describeProcess(process: ManagedProcess): MessageInitShape<typeof ProcessSchema> {
  const { id, pid, config, tag, userName, spec, startedAtMs, log } = process;
  const exit = describeExit(process);
  return {
    ...{ id, pid, user: userName, startedAtMs: BigInt(startedAtMs), hasTerminal: spec.terminal !== undefined },
    ...(tag === undefined ? {} : { tag }),
    command: { program: config.cmd, args: config.args, env: config.envs, cwd: config.cwd ?? '' },
    origin: spec.origin === 'e2b' ? Origin.E2B : Origin.SOULBOX,
    log: describeLog(log),
    input: describeInput(process, undefined),
    ...(exit === undefined ? {} : { exit }),
  };
}

export function describeLog(log: OutputLog): MessageInitShape<typeof LogStateSchema> {
  return {
    oldest: BigInt(log.oldest),
    end: BigInt(log.end),
    acknowledged: BigInt(log.acknowledged),
    maxBytes: BigInt(log.maxBytes),
    policy: policies[log.policy],
  };
}

/** The input of a writer, or of none in particular. */
export function describeInput(
  { input }: ManagedProcess,
  writer: string | undefined,
): MessageInitShape<typeof InputStateSchema> {
  if (input.kind === 'none') return { accepted: 0n, closed: true };
  const accepted = writer === undefined ? 0 : input.sequenced.accepted(writer);
  return { accepted: BigInt(accepted), closed: input.writer.isClosed };
}

/** Undefined while it runs. */
export function describeExit(process: ManagedProcess): MessageInitShape<typeof ExitSchema> | undefined {
  if (process.ended === undefined) return undefined;
  const { status, endedAtMs } = process.ended;
  const { exitCode, status: text } = exitEvent(status);
  return {
    code: exitCode,
    signal: status.kind === 'signaled' ? status.signal : 0,
    coreDumped: status.kind === 'signaled' && status.coreDumped,
    status: text,
    cause: causes[process.cause],
    endedAtMs: BigInt(endedAtMs),
  };
}
