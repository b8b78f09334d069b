import { closeSync, fstatSync, openSync, readlinkSync, writeFileSync } from 'node:fs';
import koffi from 'koffi';
import { SoulBoxError, isNodeError } from '@soulbox/base';
import { numberFromAddress } from './cidr.ts';

// The process's own symbols: works with every libc that Node itself was linked against.
const libc = koffi.load(null);
const unshare = libc.func('int unshare(int flags)') as (flags: number) => number;
const bind = libc.func('int bind(int fd, const void *address, uint32_t size)') as (
  fd: number,
  address: Buffer,
  size: number,
) => number;
const setns = libc.func('int setns(int fd, int nstype)') as (fd: number, type: number) => number;
const socket = libc.func('int socket(int domain, int type, int protocol)') as (
  domain: number,
  type: number,
  protocol: number,
) => number;

// linux/sched.h, bits/socket.h; the same numbers on every architecture Node runs on.
const CLONE_NEWNET = 0x40000000;
const AF_NETLINK = 16;
const SOCK_STREAM = 1;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
export const addressFamily = { v4: 2, v6: 10 } as const;

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
  throw new SoulBoxError('sandbox_unreachable', 'The network namespace of the sandbox is not one of its own.', {
    cause: new Error(`${path} is ${isNetwork ? "the host's network namespace" : 'no network namespace'}`),
  });
}

/**
 * Runs `act` with this thread in the namespace. `act` must not wait: whatever ran meanwhile would be in the wrong
 * network. About 2 µs of overhead. Threads of the libuv pool stay on the host, but `/proc/self/net` follows this
 * thread: read that with synchronous calls only.
 */
export function within<T>(fd: number, act: () => T): T {
  const back = hostNamespace();
  if (setns(fd, CLONE_NEWNET) !== 0)
    throw new SoulBoxError('sandbox_unreachable', 'The network namespace of the sandbox cannot be entered.', {
      cause: new Error(`setns: errno ${koffi.errno()}`),
    });
  try {
    return act();
  } finally {
    // A server that goes on in a sandbox's network would listen and dial there. Nothing sane can follow.
    if (setns(back, CLONE_NEWNET) !== 0) process.abort();
  }
}

/** Makes a network namespace without a link to any other and gives its descriptor, which the caller closes. Needs root. */
export function makeNamespace(): number {
  const back = hostNamespace();
  if (unshare(CLONE_NEWNET) !== 0) throw new Error(`unshare: errno ${koffi.errno()}`);
  try {
    return openSync('/proc/thread-self/ns/net', 'r');
  } finally {
    // As in `within`.
    if (setns(back, CLONE_NEWNET) !== 0) process.abort();
  }
}

/** A TCP socket that belongs to the namespace and has an IPv4 address of it, for a server to listen on. */
export function createBoundSocketIn(namespaceFd: number, address: string, port: number): number {
  const fd = createSocketIn(namespaceFd, addressFamily.v4);
  if (fd < 0) throw new Error(`socket: errno ${-fd}`);
  // struct sockaddr_in: the family in the machine's order, port and address in the network's.
  const name = Buffer.alloc(16);
  name.writeUInt16LE(addressFamily.v4, 0);
  name.writeUInt16BE(port, 2);
  name.writeUInt32BE(numberFromAddress(address), 4);
  if (bind(fd, name, name.length) === 0) return fd;
  closeSync(fd);
  throw new Error(`bind to ${address}:${port}: errno ${koffi.errno()}`);
}

/** A TCP socket that belongs to the namespace, not yet connected; a negative errno when the kernel refuses. */
export function createSocketIn(namespaceFd: number, family: number): number {
  return within(namespaceFd, () => {
    const fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd < 0 ? -koffi.errno() : fd;
  });
}

/** A netlink socket whose requests are about the namespace. The caller closes it. */
export function createNetlinkSocketIn(namespaceFd: number, protocol: number): number {
  return within(namespaceFd, () => createNetlinkSocket(protocol));
}

/** A netlink socket whose requests are about the host. The caller closes it. */
export function createNetlinkSocket(protocol: number): number {
  const fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
  if (fd < 0) throw new Error(`netlink socket: errno ${koffi.errno()}`);
  return fd;
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
