import { SoulBoxError } from '@soulbox/base';
import type { Digester } from './digests/digester.ts';

/** Stored data differs from its digests. `what` names the data and the place of the difference, never the content. */
export function damaged(what: string, cause?: unknown): SoulBoxError {
  return new SoulBoxError('state_damaged', `${what}. Nothing was started from it. It is kept for inspection.`, {
    cause,
  });
}

/**
 * Compares the digests of a file with the recorded ones. Throws `state_damaged` with the number of the first wrong
 * block.
 */
export async function verifyFile(
  what: string,
  path: string,
  expected: { readonly sizeBytes: number; readonly digests: readonly string[] },
  digester: Digester,
): Promise<void> {
  const found = await digester.digest(path, 0, expected.digests.length, expected.sizeBytes).catch((error: unknown) => {
    throw damaged(`${what} cannot be read`, error);
  });
  const block = found.findIndex((digest, index) => digest !== expected.digests[index]);
  if (block >= 0) throw damaged(`${what} is altered in block ${block}`);
}
