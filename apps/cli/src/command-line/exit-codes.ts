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
