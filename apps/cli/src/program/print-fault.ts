import { CommandError, SoulBoxError } from '@soulbox/base';
import { ApiError } from '../api/api-error.ts';
import { UsageError } from '../command-line/usage-error.ts';

/** Prints an error on standard error: message and reason, never a stack. */
export function printFault(thrown: unknown, options: { json: boolean }): void {
  const { reason, message } = describeFault(thrown);
  if (options.json) console.error(JSON.stringify({ error: { reason, message } }));
  else console.error(`error: ${message}${reason === 'usage' ? '\nSee --help.' : ` (${reason})`}`);
}

function describeFault(thrown: unknown): { reason: string; message: string } {
  if (thrown instanceof UsageError) return { reason: 'usage', message: thrown.message };
  if (thrown instanceof SoulBoxError) {
    // The caller of the CLI is the operator, who may see the cause behind a generic message.
    const why = thrown.reason === 'internal' && thrown.cause instanceof Error ? ` (${thrown.cause.message})` : '';
    return { reason: thrown.reason, message: `${thrown.message}${why}` };
  }
  if (thrown instanceof ApiError) return { reason: `http_${thrown.status}`, message: thrown.message };
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
