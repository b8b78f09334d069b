import { chmodSync, chownSync, closeSync } from 'node:fs';
import { lastErrno, SystemCallError } from '@soulbox/linux/libc';
import { addressFamily, bind, createSocket, socketType } from '@soulbox/linux/sockets';
import { unixAddress } from '@soulbox/linux/unix-messages';

/**
 * Opens a Unix socket that is bound to a new path but does not listen yet, like `bindTcp`. Only root and `group` may
 * connect to it.
 */
export function bindUnix(path: string, group: number): number {
  const fd = createSocket(addressFamily.unix, socketType.stream | socketType.nonBlock);
  try {
    const address = unixAddress(path);
    if (bind(fd, address, address.length) !== 0) throw new SystemCallError('bind', lastErrno());
    chownSync(path, 0, group);
    chmodSync(path, 0o660);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}
