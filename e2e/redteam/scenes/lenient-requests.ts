/** A request as some server might understand it. */
export interface LenientRequest {
  readonly target: string;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
}

/** The habits in which servers differ: each difference is a way to smuggle a request. */
interface Habits {
  /** Which framing counts if a request has both. */
  readonly first: 'length' | 'chunks';
  /** Whether a line may end without a carriage return. */
  readonly bareLines: boolean;
}

const allHabits: readonly Habits[] = (['length', 'chunks'] as const).flatMap((first) =>
  [true, false].map((bareLines) => ({ first, bareLines })),
);

/** The requests that at least one kind of server sees in the bytes of a connection. */
export function readLeniently(bytes: string): LenientRequest[] {
  return allHabits.flatMap((habits) => readRequests(bytes, habits));
}

function readRequests(bytes: string, habits: Habits): LenientRequest[] {
  const found: LenientRequest[] = [];
  let rest = bytes;
  while (found.length < 100) {
    rest = rest.replace(/^[\r\n]+/, '');
    const end = habits.bareLines ? /\r?\n\r?\n/.exec(rest) : /\r\n\r\n/.exec(rest);
    if (end === null) return found;
    const lines = rest
      .slice(0, end.index)
      .replace(/\r?\n[ \t]+/g, ' ')
      .split(habits.bareLines ? /\r?\n/ : '\r\n');
    rest = rest.slice(end.index + end[0].length);
    const headers = new Map<string, string>();
    for (const line of lines.slice(1)) {
      const colon = line.indexOf(':');
      if (colon > 0) headers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
    }
    found.push({ target: lines[0]?.split(' ')[1] ?? '', headers });
    rest = rest.slice(bodyLength(rest, headers, habits));
  }
  return found;
}

function bodyLength(rest: string, headers: ReadonlyMap<string, string>, { first }: Habits): number {
  const length = Number.parseInt(headers.get('content-length') ?? '', 10);
  const isChunked = headers.get('transfer-encoding')?.toLowerCase().includes('chunked') === true;
  if (isChunked && (first === 'chunks' || Number.isNaN(length))) return chunksLength(rest);
  return Number.isNaN(length) ? 0 : length;
}

function chunksLength(rest: string): number {
  let at = 0;
  for (;;) {
    const line = /^([0-9a-f]+)[^\n]*\n/i.exec(rest.slice(at));
    if (line === null) return at;
    const size = Number.parseInt(line[1] ?? '0', 16);
    at += line[0].length + size;
    if (size === 0) {
      const end = rest.indexOf('\n', at);
      return end < 0 ? rest.length : end + 1;
    }
    at += rest.startsWith('\r\n', at) ? 2 : 1;
  }
}
