export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  /** As in init scripts: the server is not running. */
  notRunning: 3,
  /** `soulbox run`, as in timeout(1): the program took too long. */
  timedOut: 124,
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
  [exitCodes.timedOut, 'The program reached its time limit (run).'],
  [exitCodes.signalBase, 'Plus the number of a signal: it ended the program (run).'],
  [exitCodes.interrupted, 'Ctrl-C.'],
];
