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

/** The last events of envd's life. Never environment values, file contents, tokens or output, but the beginning of a hook's. */
export interface LifeLog {
  record(level: LifeLogLevel, logger: string, message: string, fields?: Readonly<Record<string, string>>): void;
  /** Entries with a `seq` above `after`, oldest first. */
  entriesAfter(after: number): readonly LifeLogEntry[];
}

const maxEntries = 2000;
const maxTotalBytes = 256 * 1024;
const maxFieldLength = 512;
/** What an entry costs beyond its texts: keys, numbers, the timestamp. */
const entryOverheadBytes = 96;

/** A ring in memory: the runner collects it through GET /soulbox/logs, and a tenant cannot fill a disk with it. */
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
