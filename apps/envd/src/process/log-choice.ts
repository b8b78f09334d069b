import { SoulBoxError } from '@soulbox/base';
import { headers } from '@soulbox/contract';
import type { ProcessSpec } from './managed-process.ts';

/** The log of a process whose client asks for no other. */
export const usualLog = { maxBytes: 16 * 1024 * 1024, policy: 'drop-oldest', usesDisk: true } as const;

/** For programs whose output must not get on a disk that becomes a layer. */
const smallLog = { maxBytes: 256 * 1024, policy: 'drop-oldest', usesDisk: false } as const;

/** The log that a call of process.Process asks for by a header. Throws bad_request. */
export function logOf(requestHeader: Headers): ProcessSpec['log'] {
  const choice = requestHeader.get(headers.processLog);
  if (choice === null) return usualLog;
  if (choice === 'memory') return smallLog;
  throw new SoulBoxError('bad_request', `${headers.processLog} must be memory, or absent.`);
}
