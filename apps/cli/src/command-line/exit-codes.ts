export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  /** As in init scripts: the server is not running. */
  notRunning: 3,
  /** `soulbox run` and commands in a sandbox, as in timeout(1): the program took too long. */
  timedOut: 124,
  /** As in docker(1) and shells: there is no exit code of the program, it cannot be executed, it does not exist. */
  noProgram: 125,
  notExecutable: 126,
  notFound: 127,
  /** A program that was ended by a signal: this plus its number. */
  signalBase: 128,
  /** Ctrl-C. */
  interrupted: 130,
  /** The reader of our output has gone: as for a program that was ended by SIGPIPE. */
  unread: 141,
} as const;

/** For the documentation. */
export const exitCodeTexts: readonly (readonly [code: number, meaning: string])[] = [
  [exitCodes.ok, 'Success.'],
  [exitCodes.failed, 'Failure.'],
  [exitCodes.usage, 'Wrong usage.'],
  [exitCodes.notRunning, 'The server is not running (status).'],
  [exitCodes.timedOut, 'The program reached its time limit (run, sandbox exec).'],
  [exitCodes.noProgram, 'The outcome of the program is not known (sandbox exec, connect, attach).'],
  [exitCodes.notExecutable, 'The program cannot be executed (sandbox exec).'],
  [exitCodes.notFound, 'The program does not exist (sandbox exec).'],
  [exitCodes.signalBase, 'Plus the number of a signal: it ended the program (run, sandbox exec, connect, attach).'],
  [exitCodes.interrupted, 'Ctrl-C.'],
  [exitCodes.unread, 'The reader of the output has gone (run, sandbox exec, connect, attach, cat, cp).'],
];
