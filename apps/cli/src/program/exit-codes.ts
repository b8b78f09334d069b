export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  /** As init scripts say it: the server is not running. */
  notRunning: 3,
  /** `soulbox run`, as timeout(1) has it: the program took too long. */
  timedOut: 124,
  /** A program that a signal ended: this and its number. */
  signalBase: 128,
  /** Ctrl-C. */
  interrupted: 130,
  /** What read our output is gone: as a program that SIGPIPE ended. */
  unread: 141,
} as const;
