import { dlopen, FFIType, ptr, read } from 'bun:ffi';
import { constants } from 'node:os';

const { i16, i32, i64, i64_fast: fastI64, ptr: pointer } = FFIType;

/** The C library next to envd in its folder, never that of the root file system. */
const library = dlopen('libc.so.6', {
  syscall: { args: [i64, i64, i64, i64, i64, i64, i64], returns: fastI64 },
  __errno_location: { args: [], returns: pointer },
  posix_spawn: { args: [pointer, pointer, pointer, pointer, pointer, pointer], returns: i32 },
  posix_spawn_file_actions_init: { args: [pointer], returns: i32 },
  posix_spawn_file_actions_destroy: { args: [pointer], returns: i32 },
  posix_spawn_file_actions_adddup2: { args: [pointer, i32, i32], returns: i32 },
  posix_spawn_file_actions_addopen: { args: [pointer, i32, pointer, i32, i32], returns: i32 },
  posix_spawn_file_actions_addchdir_np: { args: [pointer, pointer], returns: i32 },
  posix_spawn_file_actions_addfchdir_np: { args: [pointer, i32], returns: i32 },
  posix_spawn_file_actions_addclosefrom_np: { args: [pointer, i32], returns: i32 },
  posix_spawnattr_init: { args: [pointer], returns: i32 },
  posix_spawnattr_setflags: { args: [pointer, i16], returns: i32 },
  posix_spawnattr_setsigdefault: { args: [pointer, pointer], returns: i32 },
  posix_spawnattr_setsigmask: { args: [pointer, pointer], returns: i32 },
});

export const libc = library.symbols;

/** The address of errno of this thread in the C library. All calls are made on the main thread. */
const errnoAddress = libc.__errno_location();
if (errnoAddress === null) throw new Error('The C library has no errno.');

/** Two names have the number of `EAGAIN`. */
const errnoNames = new Map(
  Object.entries(constants.errno).flatMap(([name, value]) => (name === 'EWOULDBLOCK' ? [] : [[value, name] as const])),
);

/** An error in the form of Node's own file functions: the name is in `code`. */
export function systemError(errno: number, call: string): NodeJS.ErrnoException {
  const code = errnoNames.get(errno) ?? `E${errno}`;
  return Object.assign(new Error(`${code}: ${call}`), { code, errno, syscall: call });
}

type Argument = number | Uint8Array | Int32Array | Uint32Array | Uint16Array;

/**
 * Makes one system call. Returns its result, or the negative errno. Buffers are passed by address and must not be
 * empty.
 */
export function trySyscall(number: number, ...args: readonly Argument[]): number {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = args.map((argument) =>
    typeof argument === 'number' ? argument : ptr(argument),
  );
  const result = Number(libc.syscall(number, a, b, c, d, e, f));
  return result === -1 ? -read.i32(errnoAddress as number, 0) : result;
}

/** Like `trySyscall`, but throws on a failure, with `call` as the name. */
export function syscall(call: string, number: number, ...args: readonly Argument[]): number {
  const result = trySyscall(number, ...args);
  if (result < 0) throw systemError(-result, call);
  return result;
}

/** A NUL-terminated copy. Keep a reference until the call is done. Throws EINVAL for text that contains a NUL. */
export function cString(text: string): Buffer {
  if (text.includes('\0')) throw systemError(constants.errno.EINVAL, 'a string with a NUL');
  return Buffer.from(`${text}\0`);
}
