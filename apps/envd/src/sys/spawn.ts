import { ptr } from 'bun:ffi';
import { constants } from 'node:os';
import { cString, libc, systemError } from './libc.ts';

/** The file or descriptor of a standard stream of the new process. */
export type SpawnStdio = { readonly fd: number } | { readonly path: string; readonly flags: number };

export interface SpawnOptions {
  /** Tried in order, as a shell searches PATH. */
  readonly paths: readonly string[];
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** A path, or a descriptor of a folder. */
  readonly cwd: string | number;
  /** Input, output, errors. A terminal opened as the input becomes the controlling terminal. */
  readonly stdio: readonly [SpawnStdio, SpawnStdio, SpawnStdio];
}

// glibc: spawn.h. The process gets its own session, and so its own process group. No signal is ignored or blocked.
const attributeFlags = 0x80 | 0x04 | 0x08;
/** Larger than posix_spawnattr_t (336), posix_spawn_file_actions_t (80) and sigset_t (128) of every 64-bit glibc. */
const structBytes = 512;
const spawnAttributes = createAttributes();

/** The errnos that mean "search the next folder of PATH", as in execvp. */
const tryNext = new Set<number>([constants.errno.ENOENT, constants.errno.ENOTDIR, constants.errno.EACCES]);

/**
 * Starts a program with the current credentials of the thread and returns its pid. Throws ENOENT, EACCES, E2BIG and so
 * on if the kernel refuses. Everything above descriptor 2 is closed. The caller must reap the process.
 *
 * It uses posix_spawn, because the runtime's own spawn creates sockets for stdio and ignores SIGPIPE in the child.
 */
export function spawnProgram(options: SpawnOptions): number {
  const actions = new Uint8Array(structBytes);
  const kept: Buffer[] = [];
  const text = (value: string): Buffer => {
    const buffer = cString(value);
    kept.push(buffer);
    return buffer;
  };
  const argv = pointerArray(options.argv.map(text));
  const env = pointerArray(Object.entries(options.env).map(([name, value]) => text(`${name}=${value}`)));
  check(libc.posix_spawn_file_actions_init(ptr(actions)));
  try {
    addStdio(actions, options.stdio, text);
    check(
      typeof options.cwd === 'number'
        ? libc.posix_spawn_file_actions_addfchdir_np(ptr(actions), options.cwd)
        : libc.posix_spawn_file_actions_addchdir_np(ptr(actions), ptr(text(options.cwd))),
    );
    check(libc.posix_spawn_file_actions_addclosefrom_np(ptr(actions), 3));
    return spawnFirst(options.paths.map(text), actions, argv, env);
  } finally {
    libc.posix_spawn_file_actions_destroy(ptr(actions));
    // Referenced until here, because the arrays only contain their addresses.
    kept.length = 0;
  }
}

function spawnFirst(paths: readonly Buffer[], actions: Uint8Array, argv: BigUint64Array, env: BigUint64Array): number {
  const pid = new Int32Array(1);
  let failure: number = constants.errno.ENOENT;
  for (const path of paths) {
    const errno = libc.posix_spawn(ptr(pid), ptr(path), ptr(actions), ptr(spawnAttributes), ptr(argv), ptr(env));
    if (errno === 0) return pid[0] ?? -1;
    // "Permission denied" for one file is more helpful than "not found" for another.
    if (failure !== constants.errno.EACCES || !tryNext.has(errno)) failure = errno;
    if (!tryNext.has(errno)) break;
  }
  throw systemError(failure, 'spawn');
}

function addStdio(actions: Uint8Array, stdio: SpawnOptions['stdio'], text: (value: string) => Buffer): void {
  stdio.forEach((target, fd) => {
    check(
      'fd' in target
        ? libc.posix_spawn_file_actions_adddup2(ptr(actions), target.fd, fd)
        : libc.posix_spawn_file_actions_addopen(ptr(actions), fd, ptr(text(target.path)), target.flags, 0),
    );
  });
}

function createAttributes(): Uint8Array {
  const attributes = new Uint8Array(structBytes);
  check(libc.posix_spawnattr_init(ptr(attributes)));
  check(libc.posix_spawnattr_setflags(ptr(attributes), attributeFlags));
  check(libc.posix_spawnattr_setsigdefault(ptr(attributes), ptr(new Uint8Array(structBytes).fill(0xff))));
  check(libc.posix_spawnattr_setsigmask(ptr(attributes), ptr(new Uint8Array(structBytes))));
  return attributes;
}

/** A NULL-terminated `char *[]`. */
function pointerArray(buffers: readonly Buffer[]): BigUint64Array {
  const array = new BigUint64Array(buffers.length + 1);
  buffers.forEach((buffer, index) => (array[index] = BigInt(ptr(buffer))));
  return array;
}

function check(errno: number): void {
  if (errno !== 0) throw systemError(errno, 'posix_spawn');
}
