import type { LogEntry } from '@soulbox/contract/runner';
import { msFromTimestamp } from '../runner/sandbox-facts.ts';
import { logLevels } from './schemas.ts';

type LogLevel = (typeof logLevels)[number];

export interface Log {
  /** Unix milliseconds. */
  readonly atMs: number;
  readonly level: LogLevel;
  readonly logger: string;
  readonly message: string;
  readonly fields: Record<string, string>;
}

export interface LogSelection {
  /** Unix milliseconds, inclusive. */
  readonly cursor?: number | undefined;
  readonly limit: number;
  readonly direction: 'forward' | 'backward';
  /** The lowest level to include. */
  readonly level?: LogLevel | undefined;
  readonly search?: string | undefined;
}

/** Some text comes from the sandbox: an unknown level becomes `info`. */
export function logFromRunner(entry: LogEntry): Log {
  const { logger, message, fields } = entry;
  const level = logLevels.find((known) => known === entry.level) ?? 'info';
  return { atMs: msFromTimestamp(entry.timestamp), level, logger: logger === '' ? 'sandbox' : logger, message, fields };
}

/** The selected entries of a log in chronological order. */
export function selectLogs<T extends Log>(logs: readonly T[], selection: LogSelection): T[] {
  const { cursor, direction, level, search, limit } = selection;
  const ordered = direction === 'forward' ? logs : logs.toReversed();
  const least = level === undefined ? 0 : logLevels.indexOf(level);
  return ordered
    .filter((log) => cursor === undefined || (direction === 'forward' ? log.atMs >= cursor : log.atMs <= cursor))
    .filter((log) => logLevels.indexOf(log.level) >= least)
    .filter((log) => search === undefined || log.message.includes(search))
    .slice(0, limit);
}
