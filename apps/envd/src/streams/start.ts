import type { HandlerContext } from '@connectrpc/connect';
import { SoulBoxError } from '@soulbox/base';
import type { StartRequest } from '@soulbox/contract/process-v1';
import type { ManagedProcess } from '../process/managed-process.ts';
import type { ProcessContext } from '../process/start-process.ts';
import { killAtDeadline, startProcess } from '../process/start-process.ts';
import { userByAuthorization, userByName } from '../users/caller.ts';
import { parseStart } from './parse-start.ts';

export interface StreamContext {
  readonly process: ProcessContext;
  /** Throws process_not_found. */
  getProcess(id: string): ManagedProcess;
}

/** Starts a process, or returns the one that an earlier request with the same id and content has started. */
export function startOnce({ process: context }: StreamContext, request: StartRequest, call: HandlerContext) {
  const { spec, deadlineMs } = parseStart(request);
  const started = spec.id === undefined ? undefined : context.processes.findById(spec.id);
  if (started !== undefined) {
    if (started.spec.digest === spec.digest) return started;
    throw new SoulBoxError('process_id_used', `The id ${started.id} belongs to a process with another request.`);
  }
  const user =
    request.user === ''
      ? userByAuthorization(context, call.requestHeader.get('authorization'))
      : userByName(context.users, context.settings, request.user);
  const process = startProcess(context, user, spec);
  if (deadlineMs !== undefined) killAtDeadline(process, deadlineMs);
  return process;
}
