import { isDiskFull, isNodeError } from '@soulbox/base';
import type { Reason } from '@soulbox/base';
import { StoreFault } from '../store-fault.ts';

const reasonByErrno: Readonly<Record<string, Reason>> = {
  ENOENT: 'storage_not_found',
  ENOTDIR: 'storage_not_found',
  // A link where an object should be.
  ELOOP: 'storage_not_found',
  EACCES: 'storage_access_denied',
  EPERM: 'storage_access_denied',
  EROFS: 'storage_access_denied',
  EFBIG: 'limit_exceeded',
};

/** A reader of a full disk or a disk that fails may have more luck later; a full disk does not change by itself. */
export function faultFromDisk(thrown: unknown): unknown {
  if (thrown instanceof StoreFault || !isNodeError(thrown) || thrown.errno === undefined) return thrown;
  if (isDiskFull(thrown)) return new StoreFault('disk_full', 'The disk of the store is full.', { cause: thrown });
  const reason = reasonByErrno[thrown.code ?? ''];
  const text = `${thrown.syscall ?? 'A call'} failed with ${thrown.code ?? 'an unknown error'}.`;
  return new StoreFault(reason ?? 'storage_unavailable', text, { cause: thrown });
}
