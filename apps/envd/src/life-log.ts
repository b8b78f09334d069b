/** One line of envd's own log. `timestamp` is ISO 8601 in UTC. */
export interface LifeLogEntry {
  readonly seq: number;
  readonly timestamp: string;
  readonly level: LifeLogLevel;
  readonly logger: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, string>>;
}

export type LifeLogLevel = 'info' | 'warn' | 'error';

/**
 * The latest events of envd. They never contain environment values, file contents, tokens or output, except the
 * beginning of a hook's output.
 */
export interface LifeLog {
  record(level: LifeLogLevel, logger: string, message: string, fields?: Readonly<Record<string, string>>): void;
  /** Entries with a `seq` greater than `after`, oldest first. */
  entriesAfter(after: number): readonly LifeLogEntry[];
}

const maxEntries = 2000;
const maxTotalBytes = 256 * 1024;
const maxFieldLength = 512;
/** The size of an entry in addition to its texts: keys, numbers, the timestamp. */
const entryOverheadBytes = 96;

/**
 * A ring buffer in memory. The runner collects it through GET /soulbox/logs, and a tenant cannot fill a disk with it.
 */
export function createLifeLog(now: () => number = Date.now): LifeLog {
  const entries: LifeLogEntry[] = [];
  let totalBytes = 0;
  let seq = 0;
  return {
    record(level, logger, message, fields = {}) {
      const clipped = Object.fromEntries(
        Object.entries(fields).map(([name, text]) => [name, text.slice(0, maxFieldLength)]),
      );
      seq += 1;
      const entry = { seq, timestamp: new Date(now()).toISOString(), level, logger, message, fields: clipped };
      entries.push(entry);
      totalBytes += sizeOf(entry);
      while (entries.length > maxEntries || totalBytes > maxTotalBytes) {
        const oldest = entries.shift();
        if (oldest === undefined) break;
        totalBytes -= sizeOf(oldest);
      }
    },
    entriesAfter: (after) => entries.filter((entry) => entry.seq > after),
  };
}

function sizeOf(entry: LifeLogEntry): number {
  const fields = Object.entries(entry.fields).reduce((sum, [name, text]) => sum + name.length + text.length, 0);
  return entryOverheadBytes + entry.message.length + fields;
}
