import { accessSync, closeSync, constants, fstatSync } from 'node:fs';
import { isNodeError, SoulBoxError } from '@soulbox/base';
import type { Context } from '../context.ts';
import { isRecord } from '../settings.ts';
import { candidatePaths } from '../process/environment.ts';
import { runAs } from '../sys/credentials.ts';
import type { ExitStatus } from '../sys/exit-status.ts';
import { withUserScore } from '../sys/out-of-memory-score.ts';
import { openTerminal } from '../sys/pseudo-terminal.ts';
import { readDescriptor } from '../sys/read-descriptor.ts';
import { signalGroup } from '../sys/signal.ts';
import type { SpawnStdio } from '../sys/spawn.ts';
import { spawnProgram } from '../sys/spawn.ts';
import { openMailbox, receiveMessage, sendMessage } from '../sys/unix-messages.ts';
import type { User } from '../users/users.ts';
import { createSudoers } from './sudoers.ts';
import type { Answer, Request } from './wire.ts';
import { descriptorCount, encodeLine, mailboxName, maxAnswerBytes, readLines } from './wire.ts';

type RunRequest = Extract<Request, { kind: 'run' }>;

/** Each one holds some descriptors of envd. */
const maxAtOnce = 256;
const requestTimeoutMs = 10_000;
const killSignal = 9;

/** The descriptors from a caller, in this order. */
interface Streams {
  readonly stdin: number;
  readonly stdout: number;
  readonly stderr: number;
  readonly cwd: number;
  readonly channel: number;
}

/**
 * Runs commands as other users for users with permission. This replaces the setuid bit of `sudo` on kernels that ignore
 * it (docs/decisions/012). The kernel attaches the caller's identity to the message. All decisions are made here: the
 * client program belongs to the caller and is not trusted. Call this once; it serves until envd ends.
 */
export function serveSudo(context: Context): void {
  const mailbox = openMailbox(mailboxName(context.config.port));
  const isAllowed = createRight(context);
  let served = 0;
  const take = (): void => {
    for (;;) {
      const message = receiveMessage(mailbox, 1, false);
      if (message === undefined) return;
      const streams = streamsFrom(message.fds);
      if (streams === undefined || message.sender === undefined || served >= maxAtOnce) {
        message.fds.forEach((fd) => closeSync(fd));
        continue;
      }
      const { uid } = message.sender;
      const caller = isAllowed(uid);
      if (caller === undefined) {
        refuse(context, uid, streams.channel);
        message.fds.forEach((fd) => closeSync(fd));
        continue;
      }
      served += 1;
      void serve(context, caller, streams).finally(() => (served -= 1));
    }
  };
  process.on('SIGIO', take);
  // Handles messages that arrived before the handler was installed.
  take();
}

/**
 * Undefined unless the descriptors are those of our program. Others could make envd wait, or write where it should not.
 */
function streamsFrom(fds: readonly number[]): Streams | undefined {
  const [stdin, stdout, stderr, cwd, channel] = fds;
  if (fds.length !== descriptorCount || stdin === undefined || stdout === undefined) return undefined;
  if (stderr === undefined || cwd === undefined || channel === undefined) return undefined;
  if (!fstatSync(cwd).isDirectory() || !fstatSync(channel).isSocket()) return undefined;
  return { stdin, stdout, stderr, cwd, channel };
}

/** Checks by the files of the root file system whether the user with this number may run everything. */
function createRight(context: Context): (uid: number) => User | undefined {
  const sudoers = createSudoers();
  return (uid) => {
    const user = context.users.findById(uid);
    if (user === undefined) return undefined;
    return sudoers.mayDoEverything(
      user,
      user.groups.map((gid) => context.users.groupName(gid)),
    )
      ? user
      : undefined;
  };
}

/** Refuses at once without reading the request, so that a user without permission holds no resources here. */
function refuse(context: Context, uid: number, channel: number): void {
  const name = context.users.userName(uid);
  context.log.record('warn', 'sudo', 'Refused', { caller: name });
  answer(channel, { kind: 'refused', message: `${name} may not run everything without a password here.` });
}

async function serve(context: Context, caller: User, streams: Streams): Promise<void> {
  const { channel, ...handed } = streams;
  const closeHanded = (): void => Object.values(handed).forEach((fd) => closeSync(fd));
  const input = readDescriptor(channel);
  const lines = readLines(() => input.read());
  const deadline = setTimeout(() => input.cancel(), requestTimeoutMs);
  let handedAreOpen = true;
  try {
    const first = await lines.next();
    clearTimeout(deadline);
    if (first.done === true) return;
    const request = parseRequest(first.value);
    if (request.kind === 'check') {
      answer(channel, { kind: 'allowed' });
      return;
    }
    const { pid, exit } = start(context, request, streams);
    context.log.record('info', 'sudo', 'Command started', {
      pid: String(pid),
      caller: caller.name,
      user: request.target,
      cmd: request.program,
    });
    closeHanded();
    handedAreOpen = false;
    await attend(pid, exit, lines, channel);
  } catch (error) {
    const message = error instanceof SoulBoxError ? error.message : 'The request is not valid.';
    answer(channel, { kind: 'refused', message });
  } finally {
    clearTimeout(deadline);
    input.cancel();
    if (handedAreOpen) closeHanded();
    closeSync(channel);
  }
}

/**
 * Starts the command and reports it, with the master of its terminal. Throws a SoulBoxError that gives the reason of a
 * failure.
 */
function start(
  context: Context,
  request: RunRequest,
  streams: Streams,
): { readonly pid: number; readonly exit: Promise<ExitStatus> } {
  const target = findTarget(context, request.target);
  return withUserScore(() =>
    runAs(target, () => {
      const terminal = request.terminal === undefined ? undefined : openTerminal(request.terminal);
      try {
        const pid = spawnProgram({
          paths: candidatePaths(request.program, request.env['PATH'] ?? ''),
          argv: request.argv,
          env: request.env,
          cwd: directoryFor(request, target, streams.cwd),
          stdio: stdioOf(request, streams, terminal?.path),
        });
        const exit = new Promise<ExitStatus>((resolve) => context.reaper.watch(pid, resolve));
        answer(streams.channel, { kind: 'allowed' }, terminal === undefined ? [] : [terminal.masterFd]);
        return { pid, exit };
      } catch (error) {
        throw startError(request.program, error);
      } finally {
        if (terminal !== undefined) closeSync(terminal.masterFd);
      }
    }),
  );
}

function findTarget(context: Context, name: string): User {
  const byNumber = /^#(\d{1,10})$/.exec(name)?.[1];
  if (byNumber === undefined) return context.users.get(name);
  const user = context.users.findById(Number(byNumber));
  if (user === undefined) throw new SoulBoxError('unknown_user', `unknown user: ${name}`);
  return user;
}

/**
 * Runs with the rights of the target. If the target has no access to the folder, starts in `/`, because nothing could
 * be opened in the folder anyway.
 */
function directoryFor({ atHome }: RunRequest, target: User, cwd: number): string | number {
  const wanted = atHome ? target.home : `/proc/self/fd/${cwd}`;
  try {
    accessSync(wanted, constants.X_OK);
    return atHome ? target.home : cwd;
  } catch {
    return '/';
  }
}

function stdioOf(
  { terminal }: RunRequest,
  { stdin, stdout, stderr }: Streams,
  path: string | undefined,
): readonly [SpawnStdio, SpawnStdio, SpawnStdio] {
  if (path === undefined || terminal === undefined) return [{ fd: stdin }, { fd: stdout }, { fd: stderr }];
  // The new process opens the first one, which makes it the controlling terminal of its session.
  return [{ path, flags: constants.O_RDWR }, { fd: 0 }, terminal.forErrors ? { fd: 0 } : { fd: stderr }];
}

/**
 * Passes signals on until the command ends. If the caller is gone, kills the command, because nobody else could end it.
 */
async function attend(pid: number, exit: Promise<ExitStatus>, lines: AsyncGenerator, channel: number): Promise<void> {
  let ended = false;
  const passSignals = async (): Promise<void> => {
    for await (const line of lines) {
      const signal = isRecord(line) ? Number(line['signal']) : 0;
      if (!ended && Number.isInteger(signal) && signal > 0 && signal <= 64) signalGroup(pid, signal);
    }
    if (!ended) signalGroup(pid, killSignal);
  };
  void passSignals().catch(() => undefined);
  const status = await exit;
  ended = true;
  answer(channel, status.kind === 'exited' ? status : { kind: 'signaled', signal: status.signal });
}

/** Never waits and never throws: a caller that is gone or does not read receives nothing. */
function answer(channel: number, value: Answer, fds: readonly number[] = []): void {
  const line = encodeLine(value);
  try {
    sendMessage(channel, line.length > maxAnswerBytes ? encodeLine({ kind: 'refused', message: '' }) : line, fds);
  } catch {
    // The caller is gone.
  }
}

function startError(program: string, error: unknown): SoulBoxError {
  if (error instanceof SoulBoxError) return error;
  const code = isNodeError(error) ? (error.code ?? 'unknown error') : 'unknown error';
  return new SoulBoxError('bad_request', `${program}: ${code === 'ENOENT' ? 'command not found' : code}`, {
    cause: error,
  });
}

function parseRequest(value: unknown): Request {
  const bad = new SoulBoxError('bad_request', 'The request is not valid.');
  if (!isRecord(value)) throw bad;
  if (value['kind'] === 'check') return { kind: 'check' };
  const { kind, target, program, argv, env, atHome, terminal } = value;
  if (kind !== 'run' || typeof target !== 'string' || typeof program !== 'string' || program === '') throw bad;
  if (!Array.isArray(argv) || !argv.every(isText) || !isRecord(env)) throw bad;
  if (!Object.entries(env).every(([name, text]) => isText(name) && isText(text) && !name.includes('='))) throw bad;
  return {
    kind,
    target,
    program,
    argv,
    env: env as Record<string, string>,
    atHome: atHome === true,
    terminal: parseTerminal(terminal),
  };
}

function parseTerminal(value: unknown): RunRequest['terminal'] {
  if (!isRecord(value)) return undefined;
  const side = (given: unknown): number =>
    typeof given === 'number' && Number.isInteger(given) && given > 0 && given < 65_536 ? given : 80;
  return { cols: side(value['cols']), rows: side(value['rows']), forErrors: value['forErrors'] === true };
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && !value.includes('\0');
}
