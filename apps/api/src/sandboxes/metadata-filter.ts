import { SoulBoxError } from '@soulbox/base';
import { metadataLimits } from '../limits.ts';

/**
 * Parses the `metadata` query of lists. It is itself a query string, whose keys and values the official clients
 * percent-encode once more before they build it. Throws `bad_request` when that cannot be decoded.
 */
export function parseMetadataFilter(text: string | undefined): Record<string, string> {
  if (text === undefined || text === '') return {};
  const pairs = [...new URLSearchParams(text)];
  if (pairs.length > metadataLimits.entries)
    throw new SoulBoxError('bad_request', `metadata: a filter has at most ${metadataLimits.entries} pairs.`);
  try {
    return Object.fromEntries(pairs.map(([key, value]) => [decodeURIComponent(key), decodeURIComponent(value)]));
  } catch (thrown) {
    throw new SoulBoxError('bad_request', 'metadata: keys and values must be percent-encoded.', { cause: thrown });
  }
}
