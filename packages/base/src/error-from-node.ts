import { SoulBoxError } from './error.ts';
import type { Reason } from './reasons.ts';

const reasonByErrno: Readonly<Record<string, Reason>> = {
  ENOENT: 'file_not_found',
  EEXIST: 'file_exists',
  ENOTDIR: 'not_a_directory',
  EISDIR: 'bad_path',
  ELOOP: 'link_loop',
  EINVAL: 'bad_path',
  ENAMETOOLONG: 'bad_path',
  EACCES: 'forbidden',
  EPERM: 'forbidden',
  EROFS: 'forbidden',
  ENOSPC: 'disk_full',
  EDQUOT: 'disk_full',
  ENOTEMPTY: 'file_exists',
  EBUSY: 'bad_path',
  EXDEV: 'bad_path',
  ENXIO: 'bad_path',
  ETXTBSY: 'bad_path',
  EFBIG: 'limit_exceeded',
  EMFILE: 'limit_exceeded',
  ENFILE: 'limit_exceeded',
  ECONNREFUSED: 'port_closed',
};

/** Whether Node's own APIs threw this: an Error with an errno name in `code`. */
export function isNodeError(thrown: unknown): thrown is NodeJS.ErrnoException {
  return thrown instanceof Error && typeof (thrown as NodeJS.ErrnoException).code === 'string';
}

/** Translates an error of Node.js to one of ours by the errno table. The caller sees `message`. */
export function errorFromNode(thrown: unknown, message: string): SoulBoxError {
  if (thrown instanceof SoulBoxError) return thrown;
  const reason = isNodeError(thrown) ? reasonByErrno[thrown.code ?? ''] : undefined;
  return new SoulBoxError(reason ?? 'internal', message, { cause: thrown });
}
