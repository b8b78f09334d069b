import { closeSync, fstatSync, openSync, readlinkSync, writeFileSync } from 'node:fs';
import { SoulBoxError, isNodeError } from '@soulbox/base';
import { check } from '@soulbox/linux/libc';
import { enterNetworkNamespace, enterNewNetworkNamespace } from '@soulbox/linux/namespaces';
import { NetlinkSocket } from '@soulbox/linux/netlink';
import { addressFamily, bind, createSocket, socketType } from '@soulbox/linux/sockets';
import { numberFromAddress } from './cidr.ts';

let hostFd: number | undefined;

/** The namespace this thread was born in, opened once: a thread that has left it could not find the way back. */
function hostNamespace(): number {
  hostFd ??= openSync('/proc/thread-self/ns/net', 'r');
  return hostFd;
}

/**
 * Opens a network namespace by path; the caller closes the descriptor, which keeps the namespace alive until then.
 * Throws sandbox_unreachable when there is none, or when it is the host's own: a set-up step that ran there by a slip
 * (nsenter does so in silence, see docs/decisions/005-network.md) would rewrite the host's addresses.
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
  const host = fstatSync(hostNamespace());
  const found = fstatSync(fd);
  const isNetwork = readlinkSync(`/proc/self/fd/${fd}`).startsWith('net:[');
  if (isNetwork && (found.ino !== host.ino || found.dev !== host.dev)) return fd;
  closeSync(fd);
  throw new SoulBoxError('sandbox_unreachable', 'The sandbox does not have its own network namespace.', {
    cause: new Error(`${path} is ${isNetwork ? "the host's network namespace" : 'no network namespace'}`),
  });
}

/**
 * Runs `act` with this thread in the namespace. `act` must not wait: whatever ran meanwhile would be in the wrong
 * network. About 2 µs of overhead. Threads of the libuv pool stay on the host, but `/proc/self/net` follows this
 * thread: read that with synchronous calls only.
 */
export function within<T>(fd: number, act: () => T): T {
  const host = hostNamespace();
  try {
    enterNetworkNamespace(fd);
  } catch (error) {
    const message = 'The network namespace of the sandbox cannot be entered.';
    throw new SoulBoxError('sandbox_unreachable', message, { cause: error });
  }
  try {
    return act();
  } finally {
    returnTo(host);
  }
}

/** A server that goes on in a sandbox's network would listen and dial there: nothing sane can follow a failure. */
function returnTo(hostNamespaceFd: number): void {
  try {
    enterNetworkNamespace(hostNamespaceFd);
  } catch {
    process.abort();
  }
}

/** Makes a network namespace without a link to any other and gives its descriptor, which the caller closes. Needs root. */
export function makeNamespace(): number {
  const host = hostNamespace();
  enterNewNetworkNamespace();
  try {
    return openSync('/proc/thread-self/ns/net', 'r');
  } finally {
    returnTo(host);
  }
}

/** A TCP socket that belongs to the namespace and has an IPv4 address of it, for a server to listen on. */
export function createBoundSocketIn(namespaceFd: number, address: string, port: number): number {
  const fd = createSocketIn(namespaceFd, addressFamily.v4);
  // struct sockaddr_in: the family in the machine's order, port and address in the network's.
  const name = Buffer.alloc(16);
  name.writeUInt16LE(addressFamily.v4, 0);
  name.writeUInt16BE(port, 2);
  name.writeUInt32BE(numberFromAddress(address), 4);
  try {
    check(`bind to ${address}:${port}`, bind(fd, name, name.length));
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** A TCP socket that belongs to the namespace, not yet connected. Throws `SystemCallError` when the kernel refuses it. */
export function createSocketIn(namespaceFd: number, family: number): number {
  return within(namespaceFd, () => createSocket(family, socketType.stream | socketType.nonBlock));
}

/** A netlink socket whose requests are about the namespace. */
export function openNetlinkIn(namespaceFd: number, protocol: number): NetlinkSocket {
  return within(namespaceFd, () => new NetlinkSocket(protocol));
}

/** Writes kernel parameters of the namespace. `settings` maps a path below /proc/sys/net to its text. */
export function writeSettingsIn(namespaceFd: number, settings: Readonly<Record<string, string>>): void {
  within(namespaceFd, () => {
    for (const [name, value] of Object.entries(settings)) writeSetting(name, value);
  });
}

/** Writes one kernel parameter below /proc/sys/net; one of IPv6 may be missing, with IPv6 itself. */
export function writeSetting(name: string, value: string): void {
  try {
    writeFileSync(`/proc/sys/net/${name}`, value);
  } catch (error) {
    if (!(isNodeError(error) && error.code === 'ENOENT' && name.startsWith('ipv6/'))) throw error;
  }
}
