import koffi from 'koffi';

// The symbols of the process itself. They exist with every libc that Node was linked against.
const libc = koffi.load(null);

export type LibcFunction<Arguments extends readonly unknown[], Result = number> = (...args: Arguments) => Result;

/** Declares a function of the C library by its C prototype. Calls run on this thread. */
export function libcFunction<Arguments extends readonly unknown[], Result = number>(
  prototype: string,
): LibcFunction<Arguments, Result> {
  return libc.func(prototype) as LibcFunction<Arguments, Result>;
}

/** Like `libcFunction`, but each call runs on a thread of libuv's pool. `lastErrno` does not know its error number. */
export function libcPoolFunction<Arguments extends readonly unknown[]>(
  prototype: string,
): LibcFunction<Arguments, Promise<number>> {
  const call = libc.func(prototype);
  return async (...args) =>
    await new Promise((resolve, reject) => {
      call.async(...args, (error: unknown, result: number) => {
        if (error instanceof Error) reject(error);
        else resolve(result);
      });
    });
}

/** Returns the address of a symbol, for calls that take a function. */
export const libcSymbol = (name: string): bigint => libc.symbol(name) as bigint;

/** The error number of this thread's last call. `constants.errno` of node:os has the names. */
export const lastErrno = (): number => koffi.errno();

/** A system call failed. */
export class SystemCallError extends Error {
  readonly errno: number;

  constructor(call: string, errno: number) {
    super(`${call}: errno ${errno}`);
    this.errno = errno;
  }
}

/** Returns the result of a call. Throws `SystemCallError` if it is negative. */
export function check(call: string, result: number): number {
  if (result < 0) throw new SystemCallError(call, lastErrno());
  return result;
}

/**
 * The address of a buffer's memory. It is valid while the buffer is reachable, because V8 does not move the memory of a
 * buffer.
 */
export const addressOf = (buffer: Buffer): bigint => koffi.address(buffer);
