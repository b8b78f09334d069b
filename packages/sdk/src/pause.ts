import type { Connection } from './config.ts';
import { SoulBoxError } from './error.ts';

/** Waits between two questions. Throws `aborted` when the caller has ended the call. @internal */
export async function pause({ options: { signal } }: Connection, ms: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const abort = (): void => {
      clearTimeout(timer);
      reject(new SoulBoxError('The call was aborted.', { code: 'canceled', reason: 'aborted', cause: signal?.reason }));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort);
      resolve();
    }, ms);
    if (signal?.aborted === true) abort();
    signal?.addEventListener('abort', abort, { once: true });
  });
}
