import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { constants as os } from 'node:os';
import { isatty } from 'node:tty';
import type { EnvdConfig } from '../config.ts';
import { usualSearchPath } from '../config.ts';
import { readDescriptor } from '../sys/read-descriptor.ts';
import { openStreamPair, receiveMessage, sendToMailbox } from '../sys/unix-messages.ts';
import type { User } from '../users/users.ts';
import { createUsers } from '../users/users.ts';
import { commandEnvironment, shellOf } from './command-environment.ts';
import { connectTerminal, terminalSize } from './connect-terminal.ts';
import type { Invocation } from './parse-arguments.ts';
import { parseArguments } from './parse-arguments.ts';
import type { Answer, Request, Signal } from './wire.ts';
import { encodeLine, mailboxName, maxAnswerBytes, readLines } from './wire.ts';

type Variables = Readonly<Record<string, string>>;
type Run = Extract<Invocation, { kind: 'run' }>;

/** Signals that a terminal or another process sends to sudo, and that are passed on to its command. */
const passedSignals = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2', 'SIGALRM', 'SIGCONT'] as const;

/** How this program must end. */
type End = { readonly code: number } | { readonly signal: number };

/**
 * The program `sudo` for kernels that ignore setuid bits. It has no privileges: it sends the arguments of its user to
 * envd, passes its streams and waits. Returns how the command ended.
 */
export async function runSudo(config: EnvdConfig, args: readonly string[], own: Variables): Promise<End> {
  const invocation = parseArguments(args);
  const users = createUsers();
  const caller = users.findById(process.getuid?.() ?? -1);
  try {
    switch (invocation.kind) {
      case 'unusable':
        return fail(invocation.message);
      case 'nothing':
        return { code: 0 };
      case 'help':
        return say('sudo for sandboxes whose kernel has no setuid: sudo [-EHinsS] [-u user] [VAR=value] command');
      case 'version':
        return say('Sudo of SoulBox');
      case 'validate':
      case 'list': {
        const end = await ask(config, { kind: 'check' });
        if (!('code' in end) || end.code !== 0 || invocation.kind === 'validate') return end;
        return say(`User ${caller?.name ?? '?'} may run the following commands:\n    (ALL : ALL) NOPASSWD: ALL`);
      }
      case 'run':
        if (caller === undefined) return fail('you do not exist in the passwd database');
        return await ask(config, requestFor(invocation, own, caller, findTarget(users, invocation.target)));
    }
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

function findTarget(users: ReturnType<typeof createUsers>, name: string): User {
  const number = /^#(\d{1,10})$/.exec(name)?.[1];
  const user = number === undefined ? (users.has(name) ? users.get(name) : undefined) : users.findById(Number(number));
  if (user === undefined) throw new Error(`unknown user ${name}`);
  return user;
}

function requestFor(run: Run, own: Variables, caller: User, target: User): Request {
  const isLogin = run.shell === 'login';
  const shell = isLogin ? shellOf(target) : (own['SHELL'] ?? shellOf(caller));
  const [program = '', argv] =
    run.shell === 'none' ? [run.command[0], run.command] : [shell, shellArguments(shell, isLogin, run.command)];
  const env = commandEnvironment({
    ...run,
    caller,
    target,
    own,
    searchPath: usualSearchPath,
    isLogin,
    commandLine: argv.join(' '),
  });
  const terminal = isatty(0) && isatty(1) ? { ...terminalSize(), forErrors: isatty(2) } : undefined;
  return { kind: 'run', target: target.name, program, argv, env, atHome: isLogin, terminal };
}

/**
 * The name of a login shell begins with `-` (login(1)). A command for a shell is one word in which all characters are
 * quoted.
 */
function shellArguments(shell: string, isLogin: boolean, command: readonly string[]): readonly string[] {
  const name = isLogin ? `-${shell.slice(shell.lastIndexOf('/') + 1)}` : shell;
  const words = command.map((word) => (word === '' ? "''" : word.replace(/[^\w.,:/@%+=$-]/gu, '\\$&')));
  return command.length === 0 ? [name] : [name, '-c', words.join(' ')];
}

/** Passes the streams to envd, sends the request and waits for the end. */
async function ask(config: EnvdConfig, request: Request): Promise<End> {
  const [channel, theirs] = openStreamPair();
  const cwd = openSync('.', constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    sendToMailbox(mailboxName(config.port), Uint8Array.of(0), [0, 1, 2, cwd, theirs]);
  } catch {
    return fail('sudo is not available here');
  } finally {
    closeSync(theirs);
    closeSync(cwd);
  }
  tell(channel, request);
  // Descriptors are only sent with the first answer, and any other way of reading would lose them.
  const first = receiveMessage(channel, maxAnswerBytes, true);
  const answers = readLines(createReader(channel, first?.bytes)) as AsyncGenerator<Answer>;
  const answer = await next(answers);
  if (answer.kind !== 'allowed') return endOf(answer);
  if (request.kind === 'check') return { code: 0 };
  for (const name of passedSignals) process.on(name, () => tell(channel, { signal: os.signals[name] }));
  const [master] = first?.fds ?? [];
  await using terminal = master === undefined ? undefined : connectTerminal(master);
  const end = endOf(await next(answers));
  await terminal?.finished();
  return end;
}

/** Reads the bytes that have already arrived, then further ones. */
function createReader(channel: number, first: Uint8Array | undefined): () => Promise<Uint8Array | undefined> {
  const input = readDescriptor(channel);
  let waiting = first;
  return async () => {
    const bytes = waiting ?? (await input.read());
    waiting = undefined;
    return bytes;
  };
}

async function next(answers: AsyncGenerator<Answer>): Promise<Answer> {
  const answer = await answers.next();
  return answer.done === true ? { kind: 'refused', message: 'envd closed the connection' } : answer.value;
}

function endOf(answer: Answer): End {
  switch (answer.kind) {
    case 'exited':
      return { code: answer.code };
    case 'signaled':
      return { signal: answer.signal };
    case 'refused':
      return fail(answer.message);
    case 'allowed':
      return fail('envd responded twice');
  }
}

/** Waits while envd does not read. If envd has closed the channel, it has already answered. */
function tell(channel: number, what: Request | Signal): void {
  const bytes = encodeLine(what);
  try {
    for (let offset = 0; offset < bytes.length;) offset += writeSync(channel, bytes, offset);
  } catch {
    // The answer is read next.
  }
}

function say(text: string): End {
  process.stdout.write(`${text}\n`);
  return { code: 0 };
}

function fail(text: string): End {
  process.stderr.write(`sudo: ${text}\n`);
  return { code: 1 };
}
