import { SoulBoxError, isDiskFull } from '@soulbox/base';
import { FuseError } from '@soulbox/fuse';
import type { FuseErrorCode } from '@soulbox/fuse';

/** What programs get for the errors of a store. */
const codes: Readonly<Partial<Record<string, FuseErrorCode>>> = {
  storage_not_found: 'ENOENT',
  storage_precondition_failed: 'ESTALE',
  storage_access_denied: 'EACCES',
  storage_throttled: 'EIO',
  storage_unavailable: 'EIO',
  storage_damaged: 'EIO',
  storage_unsupported: 'ENOTSUP',
  bucket_not_found: 'EIO',
  control_unavailable: 'EIO',
  limit_exceeded: 'EFBIG',
  disk_full: 'ENOSPC',
  bad_request: 'EINVAL',
};

/** An error that nobody expected stays as it is: the session reports it, and the caller gets EIO. */
function fuseErrorOf(thrown: unknown): unknown {
  if (thrown instanceof FuseError) return thrown;
  if (isDiskFull(thrown)) return new FuseError('ENOSPC');
  const code = thrown instanceof SoulBoxError ? codes[thrown.reason] : undefined;
  return code === undefined ? thrown : new FuseError(code, (thrown as SoulBoxError).message);
}

/** The result of `work`, with errors for programs. */
export async function translated<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (thrown) {
    throw fuseErrorOf(thrown);
  }
}

/** The result of `work`, or EINTR when the caller is interrupted. The work goes on. */
export async function unlessInterrupted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) {
    work.catch(() => undefined);
    throw new FuseError('EINTR');
  }
  const interrupted = Promise.withResolvers<never>();
  const interrupt = (): void => interrupted.reject(new FuseError('EINTR'));
  signal.addEventListener('abort', interrupt, { once: true });
  try {
    return await Promise.race([work, interrupted.promise]);
  } catch (thrown) {
    work.catch(() => undefined);
    throw fuseErrorOf(thrown);
  } finally {
    signal.removeEventListener('abort', interrupt);
  }
}
