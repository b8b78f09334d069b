import { closeSync, constants, openSync } from 'node:fs';
import { check, lastErrno, libcFunction, SystemCallError } from './libc.ts';

const setns = libcFunction<[fd: number, type: number]>('int setns(int fd, int type)');
const unshare = libcFunction<[flags: number]>('int unshare(int flags)');

const chdir = libcFunction<[path: string]>('int chdir(const char *path)');
const fchdir = libcFunction<[fd: number]>('int fchdir(int fd)');

/** linux/sched.h */
const CLONE_NEWNET = 0x4000_0000;
const CLONE_NEWNS = 0x2_0000;
const CLONE_FS = 0x200;

/** The namespace was not entered, so nothing was done in it. */
export class NamespaceError extends Error {
  override readonly name = 'NamespaceError';
}

let hostFd: number | undefined;

/**
 * The network namespace in which this thread started. It is opened once, because a thread that has left it cannot find
 * it again.
 */
export function hostNetworkNamespace(): number {
  hostFd ??= openSync('/proc/thread-self/ns/net', 'r');
  return hostFd;
}

/**
 * Runs `act` with this thread in the network namespace. `act` must not wait, because any code that ran meanwhile would be
 * in the wrong network. The overhead is about 2 µs. Threads of the libuv pool stay in the host's namespace, but
 * `/proc/self/net` follows this thread: read it with synchronous calls only. Throws `NamespaceError` if the namespace
 * cannot be entered.
 */
export function withinNetworkNamespace<T>(fd: number, act: () => T): T {
  const host = hostNetworkNamespace();
  if (setns(fd, CLONE_NEWNET) !== 0)
    throw new NamespaceError('The namespace cannot be entered.', { cause: new SystemCallError('setns', lastErrno()) });
  try {
    return act();
  } finally {
    returnTo(host);
  }
}

/**
 * Creates a network namespace without a link to any other and returns its descriptor, which the caller closes. Needs
 * root.
 */
export function makeNetworkNamespace(): number {
  const host = hostNetworkNamespace();
  check('unshare', unshare(CLONE_NEWNET));
  try {
    return openSync('/proc/thread-self/ns/net', 'r');
  } finally {
    returnTo(host);
  }
}

let hostMounts: number | undefined;

/**
 * Runs `act` with this thread in the mount namespace, with `folder` of it as the current folder. `act` must not wait,
 * because any code that ran meanwhile would see other files. Threads of the libuv pool stay in the host's namespace: `act`
 * uses synchronous calls only. The overhead is about 50 µs. Throws `NamespaceError` if the namespace cannot be entered, and
 * `SystemCallError` if it does not have the folder.
 */
export function withinMountNamespace<T>(fd: number, folder: string, act: () => T): T {
  hostMounts ??= openSync('/proc/thread-self/ns/mnt', 'r');
  const own = openSync('.', constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    // The kernel lets nobody in who shares root and current folder with other threads. A thread that this one has started
    // since shares them again.
    check('unshare', unshare(CLONE_FS));
    if (setns(fd, CLONE_NEWNS) !== 0)
      throw new NamespaceError('The namespace cannot be entered.', {
        cause: new SystemCallError('setns', lastErrno()),
      });
    try {
      check(`chdir to ${folder}`, chdir(folder));
      return act();
    } finally {
      // A server that stayed would take files of a sandbox for its own.
      if (setns(hostMounts, CLONE_NEWNS) !== 0 || fchdir(own) !== 0) process.abort();
    }
  } finally {
    closeSync(own);
  }
}

/**
 * A server that stayed in a sandbox's network would listen and dial there, so the process cannot safely continue after a
 * failure.
 */
function returnTo(host: number): void {
  if (setns(host, CLONE_NEWNET) !== 0) process.abort();
}
