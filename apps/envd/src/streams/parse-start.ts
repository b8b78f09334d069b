import { createHash } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import { SoulBoxError } from '@soulbox/base';
import { ProcessConfigSchema } from '@soulbox/contract/process';
import type { LogOptions, StartRequest } from '@soulbox/contract/process-v1';
import { LogPolicy } from '@soulbox/contract/process-v1';
import { usualLog } from '../process/log-choice.ts';
import type { ProcessSpec } from '../process/managed-process.ts';
import { parseTerminalSize } from '../process/terminal-size.ts';

const idPattern = /^[A-Za-z0-9_-]{1,64}$/;
const minLogBytes = 64 * 1024;
const maxLogBytes = 1024 * 1024 * 1024;
const defaultKeepSeconds = 600;
const maxKeepSeconds = 86_400;
/** Timers have 31 bits of milliseconds. */
const maxDeadlineMs = 2 ** 31 - 1;

export interface ParsedStart {
  readonly spec: ProcessSpec;
  /** Undefined: none. */
  readonly deadlineMs: number | undefined;
}

/** Throws bad_request for values outside of the documented limits. */
export function parseStart(request: StartRequest): ParsedStart {
  const { id, command, terminal, tag, keepSeconds, deadlineMs } = request;
  if (id !== '' && !idPattern.test(id))
    throw new SoulBoxError('bad_request', 'id must be 1 to 64 letters, digits, dashes and underscores.');
  if (keepSeconds > maxKeepSeconds)
    throw new SoulBoxError('bad_request', `keep_seconds must be at most ${maxKeepSeconds}.`);
  if (deadlineMs > maxDeadlineMs)
    throw new SoulBoxError('bad_request', `deadline_ms must be at most ${maxDeadlineMs}.`);
  const config = create(ProcessConfigSchema, {
    cmd: command?.program ?? '',
    args: command?.args ?? [],
    envs: command?.env ?? {},
    ...(command === undefined || command.cwd === '' ? {} : { cwd: command.cwd }),
  });
  return {
    spec: {
      id: id === '' ? undefined : id,
      origin: 'soulbox',
      digest: digestOf(request),
      config,
      terminal: terminal === undefined ? undefined : parseTerminalSize({ size: terminal }),
      hasInput: request.hasInput,
      tag,
      log: { ...parseLog(request.log), usesDisk: true },
      keepMs: (keepSeconds === 0 ? defaultKeepSeconds : keepSeconds) * 1000,
    },
    deadlineMs: deadlineMs === 0n ? undefined : Number(deadlineMs),
  };
}

function parseLog(options: LogOptions | undefined): Pick<ProcessSpec['log'], 'maxBytes' | 'policy'> {
  const asked = Number(options?.maxBytes ?? 0n);
  const maxBytes = asked === 0 ? usualLog.maxBytes : asked;
  if (maxBytes < minLogBytes || maxBytes > maxLogBytes)
    throw new SoulBoxError('bad_request', `log.max_bytes must be from ${minLogBytes} to ${maxLogBytes}.`);
  switch (options?.policy ?? LogPolicy.UNSPECIFIED) {
    case LogPolicy.UNSPECIFIED:
    case LogPolicy.DROP_OLDEST:
      return { maxBytes, policy: 'drop-oldest' };
    case LogPolicy.BLOCK:
      return { maxBytes, policy: 'block' };
    case LogPolicy.FAIL:
      return { maxBytes, policy: 'fail' };
    default:
      throw new SoulBoxError('bad_request', 'log.policy is not a policy that this version of envd knows.');
  }
}

/** Equal for a repeated request, whatever the order of its variables. */
function digestOf({ command, terminal, hasInput, tag, log, deadlineMs, keepSeconds, user }: StartRequest): string {
  const content = [
    ...[command?.program, command?.args, Object.entries(command?.env ?? {}).sort(), command?.cwd],
    ...[terminal?.cols, terminal?.rows, hasInput, tag, String(log?.maxBytes), log?.policy],
    ...[String(deadlineMs), keepSeconds, user],
  ];
  return createHash('sha256').update(JSON.stringify(content)).digest('base64');
}
