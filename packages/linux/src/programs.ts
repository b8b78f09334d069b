import { accessSync, closeSync, constants as fileConstants } from 'node:fs';
import { Socket } from 'node:net';
import { constants } from 'node:os';
import { delimiter, join } from 'node:path';
import { libcFunction, SystemCallError } from './libc.ts';
import { waitpid } from './processes.ts';
import { addressFamily, createSocketPair, socketType } from './sockets.ts';

const posixSpawn = libcFunction<
  [
    pid: Buffer,
    path: string,
    actions: Buffer,
    attributes: Buffer,
    argv: readonly (string | null)[],
    environment: readonly (string | null)[],
  ]
>(
  'int posix_spawn(void *pid, const char *path, void *actions, void *attributes, const char **argv, const char **environment)',
);
const initActions = libcFunction<[actions: Buffer]>('int posix_spawn_file_actions_init(void *actions)');
const destroyActions = libcFunction<[actions: Buffer]>('int posix_spawn_file_actions_destroy(void *actions)');
const addDup2 = libcFunction<[actions: Buffer, from: number, to: number]>(
  'int posix_spawn_file_actions_adddup2(void *actions, int from, int to)',
);
const addClose = libcFunction<[actions: Buffer, fd: number]>(
  'int posix_spawn_file_actions_addclose(void *actions, int fd)',
);
const addOpen = libcFunction<[actions: Buffer, fd: number, path: string, flags: number, mode: number]>(
  'int posix_spawn_file_actions_addopen(void *actions, int fd, const char *path, int flags, unsigned int mode)',
);
/** glibc since 2.29, and musl. */
const addChdir = libcFunction<[actions: Buffer, path: string]>(
  'int posix_spawn_file_actions_addchdir_np(void *actions, const char *path)',
);
const initAttributes = libcFunction<[attributes: Buffer]>('int posix_spawnattr_init(void *attributes)');
const setFlags = libcFunction<[attributes: Buffer, flags: number]>(
  'int posix_spawnattr_setflags(void *attributes, short flags)',
);
const setDefaultSignals = libcFunction<[attributes: Buffer, set: Buffer]>(
  'int posix_spawnattr_setsigdefault(void *attributes, const void *set)',
);

/** More than both structures have with glibc (80 and 336 bytes) and musl. */
const structureBytes = 1024;
/** sigset_t */
const signalSetBytes = 128;
/** spawn.h: POSIX_SPAWN_SETSIGDEF and POSIX_SPAWN_SETSIGMASK. The mask of new attributes is empty. */
const likeAfterLogin = 0x04 | 0x08;
/** linux/wait.h */
const doNotWait = 1;
/** O_RDWR of asm-generic/fcntl.h */
const openReadWrite = 2;
const firstInherited = 3;

export interface ProgramOptions {
  /** Working directory. */
  readonly directory: string;
  /** All variables. A program without a slash in its name is found in the folders of `PATH`. */
  readonly environment: Readonly<Record<string, string>>;
  /** `pipe`: input and output are connected, otherwise empty. The error output always is. */
  readonly standardStreams: 'pipe' | 'ignore';
  /** Inherited as 3, 4 and so on. They stay open here. */
  readonly descriptors?: readonly number[];
}

/** `code` is null if a signal ended it. Both are null if they are not known. */
export interface ProgramEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A running program. Only its streams keep this process from ending. */
export interface Program {
  readonly pid: number;
  readonly input: Socket | undefined;
  readonly output: Socket | undefined;
  readonly errors: Socket;
  /** Never rejects. The streams may still have output then. */
  readonly exited: Promise<ProgramEnd>;
  /** Sends SIGKILL, unless it has ended. */
  kill(): void;
}

/**
 * Starts a program by posix_spawn(3), which makes no copy of this process. `child_process.spawn` of Node does: with 150
 * MiB of memory this thread stands still for 3 to 6 ms, and each page that it writes to next costs a fault. The end of the
 * program is noticed by SIGCHLD, so call it on the main thread. Throws `SystemCallError`, also if there is no such program.
 */
export function startProgram(file: string, args: readonly string[], options: ProgramOptions): Program {
  const { environment, standardStreams } = options;
  const path = findProgram(file, environment['PATH'] ?? '');
  using theirs = new DisposableStack();
  using failed = new DisposableStack();
  const streams = [0, 1, 2].map((number) => {
    if (standardStreams === 'ignore' && number !== 2) return undefined;
    const [own, other] = createSocketPair(addressFamily.unix, socketType.stream);
    failed.defer(() => closeSync(own));
    theirs.defer(() => closeSync(other));
    return { own, other };
  });
  // Before the start: the end of a short program is not missed.
  followEnds();
  const pid = spawnProgram(
    path,
    [file, ...args],
    options,
    streams.map((stream) => stream?.other),
  );
  let hasEnded = false;
  const exited = new Promise<ProgramEnd>((resolve) => {
    running.set(pid, (end) => {
      hasEnded = true;
      resolve(end);
    });
  });
  failed.move();
  const [input, output, errors] = streams.map((stream, number) =>
    stream === undefined ? undefined : new Socket({ fd: stream.own, readable: number > 0, writable: number === 0 }),
  );
  return {
    ...{ pid, input, output, exited },
    errors: errors as Socket,
    kill() {
      // Its number is not free before it is known here to have ended.
      if (!hasEnded) process.kill(pid, 'SIGKILL');
    },
  };
}

/** Like execvp(3). Throws `SystemCallError`. */
function findProgram(file: string, searchPath: string): string {
  if (file.includes('/')) return file;
  const found = searchPath
    .split(delimiter)
    .map((folder) => join(folder, file))
    .find((path) => isExecutable(path));
  if (found === undefined) throw new SystemCallError(`search of ${file}`, constants.errno.ENOENT);
  return found;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, fileConstants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function spawnProgram(
  path: string,
  argv: readonly string[],
  { directory, environment, descriptors = [] }: ProgramOptions,
  streams: readonly (number | undefined)[],
): number {
  const actions = Buffer.alloc(structureBytes);
  const attributes = Buffer.alloc(structureBytes);
  checkResult('posix_spawn_file_actions_init', initActions(actions));
  try {
    checkResult('posix_spawn_file_actions_addchdir_np', addChdir(actions, directory));
    addDescriptors(actions, streams, descriptors);
    checkResult('posix_spawnattr_init', initAttributes(attributes));
    checkResult('posix_spawnattr_setflags', setFlags(attributes, likeAfterLogin));
    checkResult('posix_spawnattr_setsigdefault', setDefaultSignals(attributes, Buffer.alloc(signalSetBytes, 0xff)));
    const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
    const pid = Buffer.alloc(4);
    const result = posixSpawn(pid, path, actions, attributes, [...argv, null], [...variables, null]);
    checkResult(`posix_spawn of ${path}`, result);
    return pid.readInt32LE();
  } finally {
    destroyActions(actions);
  }
}

/** All other descriptors of this process are closed on exec. */
function addDescriptors(
  actions: Buffer,
  streams: readonly (number | undefined)[],
  descriptors: readonly number[],
): void {
  streams.forEach((from, to) => {
    const result =
      from === undefined ? addOpen(actions, to, '/dev/null', openReadWrite, 0) : addDup2(actions, from, to);
    checkResult('posix_spawn_file_actions', result);
  });
  // First to numbers above all of them, so that none is overwritten before its turn.
  const above = Math.max(firstInherited + descriptors.length, ...descriptors) + 1;
  descriptors.forEach((fd, index) => checkResult('adddup2', addDup2(actions, fd, above + index)));
  descriptors.forEach((_, index) => {
    checkResult('adddup2', addDup2(actions, above + index, firstInherited + index));
    checkResult('addclose', addClose(actions, above + index));
  });
}

/** These functions return the error number. */
function checkResult(call: string, result: number): void {
  if (result !== 0) throw new SystemCallError(call, result);
}

const running = new Map<number, (end: ProgramEnd) => void>();
let follows = false;

function followEnds(): void {
  if (follows) return;
  follows = true;
  process.on('SIGCHLD', reapEnded);
}

/** One signal can stand for several ends. libuv waits only for the processes that it has started itself. */
function reapEnded(): void {
  const status = Buffer.alloc(4);
  for (const [pid, report] of running) {
    const result = waitpid(pid, status, doNotWait);
    if (result === 0) continue;
    running.delete(pid);
    report(result === pid ? readEnd(status.readInt32LE()) : { code: null, signal: null });
  }
}

/** wait(2) */
function readEnd(status: number): ProgramEnd {
  const number = status & 0x7f;
  if (number === 0) return { code: (status >> 8) & 0xff, signal: null };
  const names = Object.entries(constants.signals) as [NodeJS.Signals, number][];
  return { code: null, signal: names.find(([, value]) => value === number)?.[0] ?? null };
}
