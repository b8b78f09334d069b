import { mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { pino } from 'pino';
import { createLogDestination } from './log-destination.ts';

/** The logger that is passed around: structured, one constant message, facts as fields. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(fields: object): Logger;
}

/** The logger of a process, which knows what its destination did not take. */
export interface RootLogger extends Logger {
  /** Lines lost since the start because the destination took none: its disk was full, or its reader stood still. */
  droppedLines(): number;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/**
 * JSON lines to `file`, or to standard error. Errors go under `err`, with their causes. The file is open when this returns:
 * one that cannot be opened throws here, to whoever chose it. One that takes no more lines later (its disk is full) never
 * stops the process: lines wait for room, then they are dropped and counted, and the count is logged once there is room.
 */
export function createLogger(options: { level: LogLevel; file?: string | undefined }): RootLogger {
  const fd = options.file === undefined ? process.stderr.fd : openLog(options.file);
  const destination = createLogDestination(fd, (lines) => {
    logger.warn({ lines }, 'log lines were lost: the log could not be written');
  });
  const logger = pino({ level: options.level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination);
  return Object.assign(logger, { droppedLines: () => destination.droppedLines() });
}

function openLog(file: string): number {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  return openSync(file, 'a', 0o600);
}

export const silentLogger: Logger = pino({ level: 'silent' });
