import { closeSync } from 'node:fs';
import { netlinkProtocol } from '@soulbox/linux/netlink';
import type { NetlinkSocket } from '@soulbox/linux/netlink';
import { openNamespaceFd, openNetlinkIn } from './enter-namespace.ts';

/** The message that lists sockets of one family: SOCK_DIAG_BY_FAMILY of linux/sock_diag.h, sock_diag(7). */
export const listSockets = 20;

/**
 * Asks the kernel about the sockets of a namespace. A list takes less than a millisecond.
 *
 * @throws sandbox_unreachable if there is no such namespace.
 */
export function diagnoseSockets<T>(namespacePath: string, ask: (netlink: NetlinkSocket) => T): T {
  const namespaceFd = openNamespaceFd(namespacePath);
  try {
    using netlink = openNetlinkIn(namespaceFd, netlinkProtocol.socketDiagnosis);
    return ask(netlink);
  } finally {
    closeSync(namespaceFd);
  }
}
