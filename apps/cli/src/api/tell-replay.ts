import { headers as headerNames } from '@soulbox/contract';
import type { ApiAnswer } from './call.ts';

/** Says on standard error that the result is that of an earlier call with the same idempotency key. */
export function tellReplay({ headers }: Pick<ApiAnswer<unknown>, 'headers'>): void {
  if (headers.get(headerNames.idempotentReplayed) !== 'true') return;
  console.error('note: this idempotency key was used before. This is the result of that call; nothing new was made.');
}
