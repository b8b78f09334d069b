import { pino } from 'pino';
import { createLogDestination } from './log-destination.ts';
import { borrowLogFile, openLogFile } from './log-file.ts';
import type { LogFileLimits } from './log-file.ts';

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
  /** A whole line as another process has written it, the line feed included. */
  writeLine(line: string): void;
  /** Opens its file anew, after somebody else has moved it away. Without a file of its own it does nothing. */
  reopen(): void;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/**
 * JSON lines to `file`, or to standard error. Errors go under `err`, with their causes. The file is open when this returns:
 * one that cannot be opened throws here, to whoever chose it. One that takes no more lines later (its disk is full) never
 * stops the process: lines wait for room, then they are dropped and counted, and the count is logged once there is room.
 * A file grows to `limits`; without them it grows for ever.
 */
export function createLogger(options: {
  level: LogLevel;
  file?: string | undefined;
  limits?: LogFileLimits | undefined;
}): RootLogger {
  const { file, limits = { maxBytes: 0, keptFiles: 1 } } = options;
  const logFile = file === undefined ? borrowLogFile(process.stderr.fd) : openLogFile(file, limits);
  const destination = createLogDestination(logFile, (lines) => {
    logger.warn({ lines }, 'log lines were lost because the log could not be written');
  });
  const logger = pino({ level: options.level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination);
  return Object.assign(logger, {
    droppedLines: () => destination.droppedLines(),
    writeLine: (line: string) => destination.write(line),
    reopen() {
      destination.reopen();
      if (file !== undefined) logger.info({ file }, 'log opened anew');
    },
  });
}

export const silentLogger: Logger = pino({ level: 'silent' });
