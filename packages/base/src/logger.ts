import { mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
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

/**
 * JSON lines to `file`, or to standard error. Errors go under `err`, with their causes. The file is open when this returns:
 * one that cannot be opened throws here, to whoever chose it, and not later out of nowhere.
 */
export function createLogger(options: { level: LogLevel; file?: string | undefined }): Logger {
  const destination = pino.destination({ dest: options.file === undefined ? 2 : openLog(options.file), sync: false });
  return pino({ level: options.level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination);
}

function openLog(file: string): number {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  return openSync(file, 'a', 0o600);
}

export const silentLogger: Logger = pino({ level: 'silent' });
