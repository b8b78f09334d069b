import { closeSync, fstatSync, openSync, readlinkSync, writeFileSync } from 'node:fs';
import { SoulBoxError, isNodeError } from '@soulbox/base';
import { check } from '@soulbox/linux/libc';
import { hostNetworkNamespace, NamespaceError, withinNetworkNamespace } from '@soulbox/linux/namespaces';
import { createNetlinkSocket } from '@soulbox/linux/netlink';
import type { NetlinkSocket } from '@soulbox/linux/netlink';
import { addressFamily, bind, createSocket, nameOfV4, socketType } from '@soulbox/linux/sockets';
import { numberFromAddress } from './cidr.ts';

/**
 * Opens a network namespace by path. The caller closes the descriptor, which keeps the namespace alive until then.
 * Throws sandbox_unreachable if there is none, or if it is the host's own. A setup step that ran there by mistake would
 * rewrite the host's addresses (nsenter does so silently, see docs/decisions/005-network.md).
 */
export function openNamespaceFd(path: string): number {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    throw new SoulBoxError('sandbox_unreachable', 'The network namespace of the sandbox cannot be opened.', {
      cause: error,
    });
  }
  const host = fstatSync(hostNetworkNamespace());
  const found = fstatSync(fd);
  const isNetwork = readlinkSync(`/proc/self/fd/${fd}`).startsWith('net:[');
  if (isNetwork && (found.ino !== host.ino || found.dev !== host.dev)) return fd;
  closeSync(fd);
  throw new SoulBoxError('sandbox_unreachable', 'The sandbox does not have its own network namespace.', {
    cause: new Error(`${path} is ${isNetwork ? "the host's network namespace" : 'not a network namespace'}`),
  });
}

/** Runs `act` with this thread in the namespace, see `withinNetworkNamespace`. Throws `sandbox_unreachable`. */
export function within<T>(fd: number, act: () => T): T {
  try {
    return withinNetworkNamespace(fd, act);
  } catch (error) {
    if (!(error instanceof NamespaceError)) throw error;
    const message = 'The network namespace of the sandbox cannot be entered.';
    throw new SoulBoxError('sandbox_unreachable', message, { cause: error });
  }
}

/** Creates a TCP socket in the namespace, bound to an IPv4 address of it, for a server to listen on. */
export function createBoundSocketIn(namespaceFd: number, address: string, port: number): number {
  const fd = createSocketIn(namespaceFd, addressFamily.v4);
  const name = nameOfV4(numberFromAddress(address), port);
  try {
    check(`bind to ${address}:${port}`, bind(fd, name, name.length));
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Creates an unconnected TCP socket in the namespace. Throws `SystemCallError` if the kernel refuses it. */
export function createSocketIn(namespaceFd: number, family: number): number {
  return within(namespaceFd, () => createSocket(family, socketType.stream | socketType.nonBlock));
}

/** Opens a netlink socket for requests about the namespace. */
export function openNetlinkIn(namespaceFd: number, protocol: number): NetlinkSocket {
  return within(namespaceFd, () => createNetlinkSocket(protocol));
}

/** Writes kernel parameters of the namespace. `settings` maps a path below /proc/sys/net to its value. */
export function writeSettingsIn(namespaceFd: number, settings: Readonly<Record<string, string>>): void {
  within(namespaceFd, () => {
    for (const [name, value] of Object.entries(settings)) writeSetting(name, value);
  });
}

/** Writes one kernel parameter below /proc/sys/net. An IPv6 parameter may be missing, if the kernel has no IPv6. */
export function writeSetting(name: string, value: string): void {
  try {
    writeFileSync(`/proc/sys/net/${name}`, value);
  } catch (error) {
    if (!(isNodeError(error) && error.code === 'ENOENT' && name.startsWith('ipv6/'))) throw error;
  }
}
