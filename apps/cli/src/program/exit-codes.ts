export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  /** As init scripts say it: the server is not running. */
  notRunning: 3,
} as const;
