import { isNodeError, SoulBoxError } from '@soulbox/base';
import { damaged } from '../damage.ts';
import type { CipherCopy, Digester } from '../digests/digester.ts';

/** Clear content is only in memory, never on the disk instead. */
export function noMemory(what: string, cause: unknown): SoulBoxError {
  return new SoulBoxError('sandbox_resume_failed', `${what} does not fit into the free memory of the host. Retry.`, {
    cause,
  });
}

/** Decrypts the blocks of a part that match their seals into a file. Throws `state_damaged` if one does not. */
export async function decryptPart(
  what: string,
  copy: CipherCopy,
  seals: readonly string[],
  digester: Pick<Digester, 'decrypt'>,
  mode?: number,
): Promise<void> {
  const wrong = await digester.decrypt(copy, seals, mode).catch((error: unknown) => {
    if (isNodeError(error) && (error.code === 'ENOSPC' || error.code === 'ENOMEM')) throw noMemory(what, error);
    throw damaged(`${what} cannot be read`, error);
  });
  if (wrong !== undefined) throw damaged(`${what} is altered in block ${wrong}`);
}
