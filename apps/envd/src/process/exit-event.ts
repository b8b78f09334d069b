import { constants } from 'node:os';
import type { ExitStatus } from '../sys/exit-status.ts';

/** How a process ended, in the terms of the protocol. */
export interface ExitEvent {
  /** -1 if a signal ended it. */
  readonly exitCode: number;
  readonly exited: boolean;
  readonly status: string;
  readonly error?: string;
}

/** Signal names as in Go. E2B sends these texts and its clients compare them. */
const signalTexts: Partial<Record<NodeJS.Signals, string>> = {
  SIGABRT: 'aborted',
  SIGALRM: 'alarm clock',
  SIGBUS: 'bus error',
  SIGFPE: 'floating point exception',
  SIGHUP: 'hangup',
  SIGILL: 'illegal instruction',
  SIGINT: 'interrupt',
  SIGKILL: 'killed',
  SIGPIPE: 'broken pipe',
  SIGQUIT: 'quit',
  SIGSEGV: 'segmentation fault',
  SIGTERM: 'terminated',
  SIGTRAP: 'trace/breakpoint trap',
};

const textByNumber = new Map(
  Object.entries(signalTexts).map(([name, text]) => [constants.signals[name as NodeJS.Signals], text]),
);

export function exitEvent(status: ExitStatus): ExitEvent {
  if (status.kind === 'exited') {
    const text = `exit status ${status.code}`;
    return { exitCode: status.code, exited: true, status: text, ...(status.code === 0 ? {} : { error: text }) };
  }
  const name = textByNumber.get(status.signal) ?? `signal ${status.signal}`;
  const text = `signal: ${name}${status.coreDumped ? ' (core dumped)' : ''}`;
  return { exitCode: -1, exited: false, status: text, error: text };
}
