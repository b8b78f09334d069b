import { pino } from 'pino';
import { createLogDestination } from './log-destination.ts';
import { borrowLogFile, openLogFile } from './log-file.ts';
import type { LogFileLimits } from './log-file.ts';
import { logFields } from './spans.ts';

/** The logger that is passed around. Entries are structured: one constant message, facts as fields. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(fields: object): Logger;
}

/** The logger of a process. It knows which lines its destination did not accept. */
export interface RootLogger extends Logger {
  /**
   * The number of lines lost since the start because the destination accepted none: its disk was full, or its reader
   * was stuck.
   */
  droppedLines(): number;
  /** Writes a whole line of another process, which includes the line feed. */
  writeLine(line: string): void;
  /** Reopens the log file after somebody else has moved it away. Does nothing if the logger has no file of its own. */
  reopen(): void;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/**
 * Writes JSON lines to `file`, or to standard error. A line that is written on behalf of a call has its `requestId` and
 * `traceId`. Errors are logged under `err` with their causes. The file is open
 * when this function returns; it throws if the file cannot be opened. A file that accepts no more lines later (its disk
 * is full) never stops the process: lines wait for room, then are dropped and counted, and the count is logged once
 * there is room. The file grows to `limits`; without limits it grows for ever.
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
  const logger = pino(
    { level: options.level, base: null, timestamp: pino.stdTimeFunctions.isoTime, mixin: logFields },
    destination,
  );
  return Object.assign(logger, {
    droppedLines: () => destination.droppedLines(),
    writeLine: (line: string) => destination.write(line),
    reopen() {
      destination.reopen();
      if (file !== undefined) logger.info({ file }, 'log reopened');
    },
  });
}

export const silentLogger: Logger = pino({ level: 'silent' });
