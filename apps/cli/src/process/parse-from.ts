import type { From } from '@soulbox/contract/process-v1';
import { UsageError } from '../command-line/usage-error.ts';

/** Positions count bytes, and the API has 64 bits for them. Further than any program writes. */
const digitsMax = 18;

/** Parses where output begins. Throws UsageError. */
export function parseFrom(text: string | undefined): From['from'] {
  if (text === undefined || text === 'start') return { case: undefined };
  if (text === 'end') return { case: 'newest', value: { $typeName: 'soulbox.process.v1.Newest' } };
  if (/^\d+$/.test(text) && text.length <= digitsMax) return { case: 'position', value: BigInt(text) };
  throw new UsageError(`--from must be a position in bytes, start or end, not ${JSON.stringify(text)}.`);
}
