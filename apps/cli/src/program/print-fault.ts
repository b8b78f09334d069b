import { CommandError, SoulBoxError } from '@soulbox/base';
import { printable } from '@soulbox/envd-client/printable';
import { ApiError } from '../api/api-error.ts';
import { hintOf } from '../command-line/hints.ts';
import { UsageError } from '../command-line/usage-error.ts';

interface Fault {
  readonly reason: string;
  readonly message: string;
  readonly requestId?: string | undefined;
  /** What to do next, if the message does not say it. */
  readonly hint?: string | undefined;
}

/**
 * Prints an error on standard error: message, reason, the request where the server is at fault, and
 * what to do next; never a stack.
 */
export function printFault(thrown: unknown, options: { json: boolean }): void {
  const fault = { ...describeFault(thrown), hint: hintOf(thrown) };
  if (options.json) console.error(JSON.stringify({ error: fault }));
  else console.error(renderFault(fault, thrown instanceof ApiError && thrown.status >= 500));
}

/** Messages can contain the words of a sandbox. */
function renderFault({ reason, message, requestId, hint }: Fault, isOfServer: boolean): string {
  if (reason === 'usage') return printable(`error: ${message}\nSee --help.`);
  const request = isOfServer && requestId !== undefined ? `, request ${requestId}` : '';
  const next = hint === undefined ? '' : `\nhint: ${hint}`;
  return printable(`error: ${message} (${reason}${request})${next}`);
}

function describeFault(thrown: unknown): Fault {
  if (thrown instanceof UsageError) return { reason: 'usage', message: thrown.message };
  if (thrown instanceof SoulBoxError) {
    // The caller of the CLI is the operator, who may see the cause behind a generic message.
    const why = thrown.reason === 'internal' && thrown.cause instanceof Error ? ` (${thrown.cause.message})` : '';
    return { reason: thrown.reason, message: `${thrown.message}${why}` };
  }
  if (thrown instanceof ApiError) {
    const { reason, message, requestId } = thrown;
    return { reason, message, requestId };
  }
  if (thrown instanceof Error && 'reason' in thrown && typeof thrown.reason === 'string')
    return { reason: thrown.reason, message: thrown.message };
  if (thrown instanceof CommandError) return { reason: 'internal', message: thrown.message };
  if (thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string') {
    const denied = thrown.code === 'EACCES' || thrown.code === 'EPERM';
    return {
      reason: denied ? 'forbidden' : 'internal',
      message: `${thrown.message}${denied ? '. Run it with sudo.' : ''}`,
    };
  }
  return { reason: 'internal', message: thrown instanceof Error ? thrown.message : String(thrown) };
}
