import { pino } from 'pino';

/** The logger that is passed around: structured, one constant message, facts as fields. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(fields: object): Logger;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** JSON lines to `file`, or to standard error. Errors go under `err`, with their causes. */
export function createLogger(options: { level: LogLevel; file?: string | undefined }): Logger {
  const destination = pino.destination({ dest: options.file ?? 2, sync: false, mkdir: true });
  return pino({ level: options.level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination);
}

export const silentLogger: Logger = pino({ level: 'silent' });
