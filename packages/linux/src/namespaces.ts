import { check, libcFunction } from './libc.ts';

const setns = libcFunction<[fd: number, type: number]>('int setns(int fd, int type)');
const unshare = libcFunction<[flags: number]>('int unshare(int flags)');

/** linux/sched.h */
const CLONE_NEWNET = 0x4000_0000;

/** Moves this thread into the network namespace that the descriptor refers to. */
export function enterNetworkNamespace(fd: number): void {
  check('setns', setns(fd, CLONE_NEWNET));
}

/** Moves this thread into a new network namespace. */
export function enterNewNetworkNamespace(): void {
  check('unshare', unshare(CLONE_NEWNET));
}
