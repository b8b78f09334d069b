import type { Logger } from '@soulbox/base';
import { insideProgram } from '@soulbox/contract';
import type { SshUsed } from '@soulbox/contract/ssh-service';
import type { TerminalSize } from '@soulbox/envd-client';
import type { ServerChannel, Session } from 'ssh2';
import { commandMaxBytes, variableMaxBytes, variablesMax } from '../limits.ts';
import type { MemoryBound } from '../bound-memory.ts';
import type { Outlet } from '../outlet.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import { commandLine, loginShell } from './commands.ts';
import type { Command } from './commands.ts';
import { refuseChannel, runChannel } from './run-channel.ts';
import type { RunningChannel } from './run-channel.ts';

/** What runs inside for SSH, each as one module (apps/sftp-server). */
export interface InsidePrograms {
  readonly sftpServer: string;
  /** Listens on a port for a client (`ssh -R`). */
  readonly remoteListener: string;
}

export interface SessionContext {
  readonly sandbox: Sandbox;
  /** Why the sandbox cannot be used. Empty: it can. */
  readonly fault: string;
  readonly outlet: Outlet;
  readonly programs: InsidePrograms;
  /** Takes the place of a program. False if there is none. */
  readonly takePlace: () => boolean;
  readonly freePlace: () => void;
  readonly memory: MemoryBound;
  readonly note: (used: SshUsed) => void;
  readonly logger: Logger;
}

/** Variables that a client may set, as in the usual settings of sshd. Others could change what our own programs do. */
const variableForm = /^(?:LANG|LC_[A-Z]{1,20}|TZ|COLORTERM|TERM_PROGRAM|TERM_PROGRAM_VERSION|GIT_PROTOCOL)$/;
const terminalForm = /^[\w.+-]{1,64}$/;
const signalForm = /^(?:ABRT|ALRM|FPE|HUP|ILL|INT|KILL|PIPE|QUIT|SEGV|TERM|USR1|USR2)$/;
/** The kernel stores 16 bits. */
const cellsMax = 65_535;

/** Serves a channel of type `session` (RFC 4254, section 6): one shell, command or subsystem. */
export function serveSession(session: Session, context: SessionContext): void {
  const env: Record<string, string> = {};
  let terminal: TerminalSize | undefined;
  let running: RunningChannel | undefined;

  let hasStarted = false;

  const run = (
    { accept, reject }: { accept: () => ServerChannel | undefined; reject: unknown },
    used: SshUsed,
    command: Command,
    withTerminal: boolean,
  ): void => {
    // A session has one program. For another one, the library gives no channel.
    const channel = hasStarted ? undefined : accept();
    if (channel === undefined) {
      refuse(reject);
      return;
    }
    hasStarted = true;
    context.memory.watch(channel);
    if (context.fault !== '') {
      refuseChannel(channel, context.fault);
      return;
    }
    if (!context.takePlace()) {
      refuseChannel(channel, 'This connection has too many programs.');
      return;
    }
    context.note(used);
    const { sandbox, outlet, logger } = context;
    running = runChannel(channel, {
      ...{ command, env, sandbox, outlet, logger, onEnd: context.freePlace },
      terminal: withTerminal ? terminal : undefined,
    });
  };

  session.on('env', (accept, reject, { key, val }) => {
    const isKnown = variableForm.test(key) && Buffer.byteLength(val) <= variableMaxBytes && !val.includes('\0');
    if (!isKnown || Object.keys(env).length >= variablesMax) {
      refuse(reject);
      return;
    }
    env[key] = val;
    confirm(accept);
  });
  session.on('pty', (accept, reject, { cols, rows, term }) => {
    const name = (term as unknown) ?? '';
    if (typeof name !== 'string' || (name !== '' && !terminalForm.test(name))) {
      refuse(reject);
      return;
    }
    env['TERM'] = name === '' ? 'dumb' : name;
    terminal = sizeOf(cols, rows);
    confirm(accept);
  });
  session.on('window-change', (accept, _reject, { cols, rows }) => {
    running?.resize(sizeOf(cols, rows));
    if (terminal !== undefined && running === undefined) terminal = sizeOf(cols, rows);
    confirm(accept);
  });
  session.on('signal', (accept, reject, { name }) => {
    if (!signalForm.test(name)) {
      refuse(reject);
      return;
    }
    running?.signal(name);
    confirm(accept);
  });
  session.on('shell', (accept, reject) => run({ accept, reject }, 'shell', loginShell, true));
  session.on('exec', (accept, reject, { command }) => {
    if (Buffer.byteLength(command) > commandMaxBytes || command.includes('\0')) refuse(reject);
    else run({ accept, reject }, 'exec', commandLine(command), true);
  });
  session.on('subsystem', (accept, reject, { name }) => {
    if (name === 'sftp') run({ accept, reject }, 'sftp', insideProgram(context.programs.sftpServer), false);
    else refuse(reject);
  });
}

const sizeOf = (columns: number, rows: number): TerminalSize => ({
  columns: Math.min(columns, cellsMax),
  rows: Math.min(rows, cellsMax),
});

/** The library passes no function if the client wants no answer, although its types say so. */
function confirm(accept: unknown): void {
  if (typeof accept === 'function') (accept as () => void)();
}

function refuse(reject: unknown): void {
  if (typeof reject === 'function') (reject as () => void)();
}
