import type { Logger } from '@soulbox/base';
import { readCacheFigures } from '@soulbox/vault';
import type { CacheFigures } from '@soulbox/vault';

/** `/metrics` must not wait for a process that is being restarted. Milliseconds. */
const waitMs = 1000;

/** Undefined: there is no cache, or its process does not answer. */
export async function readObjectCache(socket: string, logger: Logger): Promise<CacheFigures | undefined> {
  try {
    return await readCacheFigures(socket, AbortSignal.timeout(waitMs));
  } catch (err) {
    logger.debug({ err }, 'the figures of the cache could not be read');
    return undefined;
  }
}
