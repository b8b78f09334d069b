import type { Logger } from '@soulbox/base';

/**
 * The same logger, but an operation that took `thresholdMs` or longer is a warning with `slow: true`. The line of an
 * operation has `durationMs` and `phases`. Builds are as slow as their steps, so they stay. 0: nothing changes.
 */
export function warnOfSlowOperations(logger: Logger, thresholdMs: number): Logger {
  if (thresholdMs === 0) return logger;
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info(fields, message) {
      if (isSlow(fields, thresholdMs)) logger.warn({ ...fields, slow: true }, message);
      else logger.info(fields, message);
    },
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    child: (fields) => warnOfSlowOperations(logger.child(fields), thresholdMs),
  };
}

function isSlow(fields: object, thresholdMs: number): boolean {
  if (!('durationMs' in fields) || !('phases' in fields) || 'buildId' in fields) return false;
  return typeof fields.durationMs === 'number' && fields.durationMs >= thresholdMs;
}
