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
 * beginning of a hook's output, and the output of commands if the creator of the sandbox asked for it.
 */
export interface LifeLog {
  record(level: LifeLogLevel, logger: string, message: string, fields?: Readonly<Record<string, string>>): void;
  /** Records a line of output. However many there are, they displace no events. */
  recordOutput(level: LifeLogLevel, line: string, fields: Readonly<Record<string, string>>): void;
  /** Entries with a `seq` greater than `after`, oldest first. */
  entriesAfter(after: number): readonly LifeLogEntry[];
}

/** Of the events, and of the output. */
const maxEntries = { events: 2000, output: 1000 };
const maxTotalBytes = { events: 256 * 1024, output: 256 * 1024 };
const maxFieldLength = 512;
/** By this name the runner knows entries with output. */
const outputLogger = 'output';
/** The size of an entry in addition to its texts: keys, numbers, the timestamp. */
const entryOverheadBytes = 96;

/**
 * Two ring buffers in memory. The runner collects them through GET /soulbox/logs, and a tenant cannot fill a disk with
 * them.
 */
export function createLifeLog(now: () => number = Date.now): LifeLog {
  const events = createRing(maxEntries.events, maxTotalBytes.events);
  const output = createRing(maxEntries.output, maxTotalBytes.output);
  let seq = 0;
  const entryOf = (level: LifeLogLevel, logger: string, message: string, fields: LifeLogEntry['fields']) => {
    const clipped = Object.fromEntries(
      Object.entries(fields).map(([name, text]) => [name, text.slice(0, maxFieldLength)]),
    );
    seq += 1;
    return { seq, timestamp: new Date(now()).toISOString(), level, logger, message, fields: clipped };
  };
  return {
    record(level, logger, message, fields = {}) {
      events.add(entryOf(level, logger, message, fields));
    },
    recordOutput(level, line, fields) {
      output.add(entryOf(level, outputLogger, line, fields));
    },
    entriesAfter: (after) =>
      [...events.entriesAfter(after), ...output.entriesAfter(after)].sort((one, other) => one.seq - other.seq),
  };
}

interface Ring {
  add(entry: LifeLogEntry): void;
  entriesAfter(after: number): LifeLogEntry[];
}

function createRing(entriesMax: number, bytesMax: number): Ring {
  const entries: LifeLogEntry[] = [];
  let totalBytes = 0;
  return {
    add(entry) {
      entries.push(entry);
      totalBytes += sizeOf(entry);
      while (entries.length > entriesMax || totalBytes > bytesMax) {
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
