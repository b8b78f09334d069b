/**
 * Series that are kept; those of further names are refused. The runner takes as many from a sandbox. A timer is as many
 * as the lines that it becomes.
 */
const seriesMax = 256;
/** Characters of all names and labels together. */
const textMax = 32_768;
const lineMaxLength = 1024;
const nameMaxLength = 128;
/** With the label for quantiles a series has the 16 that the runner takes. */
const tagsMax = 15;
const quantileLabel = 'quantile';
const tagMaxLength = 256;
/** A series without a new value for so long is forgotten, as those of files are. */
const keptMs = 30 * 60_000;
/** Newest values of a timer, from which its quantiles are read. */
const timerValues = 128;
const quantiles = [0.5, 0.9, 0.99] as const;

interface Counted {
  readonly kind: 'counter' | 'gauge';
  readonly name: string;
  readonly labels: string;
  value: number;
  updatedAtMs: number;
}

interface Timed {
  readonly kind: 'summary';
  readonly name: string;
  readonly labels: string;
  count: number;
  sum: number;
  /** A ring: the place of the next value is `count` of values so far. */
  readonly newest: number[];
  next: number;
  updatedAtMs: number;
}

type Series = Counted | Timed;

export interface StatsdTable {
  /** Takes the lines of a datagram. It is hostile: a line that is not valid costs only itself. Never throws. */
  take(datagram: string): void;
  /** All series in the form of Prometheus, and how many lines were refused since the last call. */
  read(): { readonly text: string; readonly refused: number };
}

/**
 * Adds up what programs report by StatsD: counters (`c`), gauges (`g`), timers in milliseconds (`ms`) and histograms
 * (`h`, `d`), with sample rates and tags in DogStatsD's form. Sets and events are refused.
 */
export function createStatsdTable(now: () => number = Date.now): StatsdTable {
  const table = new Map<string, Series>();
  let textSize = 0;
  let size = 0;
  let refused = 0;

  const seriesOf = (kind: Series['kind'], name: string, labels: string): Series | undefined => {
    const key = `${name}{${labels}}`;
    const known = table.get(key);
    if (known !== undefined) return known.kind === kind ? known : undefined;
    if (size + sizeOf(kind) > seriesMax || textSize + key.length > textMax) return undefined;
    const common = { name, labels, updatedAtMs: 0 };
    const series: Series =
      kind === 'summary' ? { ...common, kind, count: 0, sum: 0, newest: [], next: 0 } : { ...common, kind, value: 0 };
    table.set(key, series);
    size += sizeOf(kind);
    textSize += key.length;
    return series;
  };

  /** False if the line is not valid, or there is no room for its series. */
  const takeLine = (line: string): boolean => {
    const sample = line.length > lineMaxLength ? undefined : parseLine(line);
    if (sample === undefined) return false;
    const series = seriesOf(sample.kind, sample.name, sample.labels);
    if (series === undefined) return false;
    if (!add(series, sample)) return false;
    series.updatedAtMs = now();
    return true;
  };

  const forgetOld = (): void => {
    const oldest = now() - keptMs;
    for (const [key, { updatedAtMs, kind }] of table) {
      if (updatedAtMs > oldest) continue;
      table.delete(key);
      size -= sizeOf(kind);
      textSize -= key.length;
    }
  };

  return {
    take(datagram) {
      for (const line of datagram.split('\n')) if (line.trim() !== '' && !takeLine(line.trim())) refused += 1;
    },
    read() {
      forgetOld();
      const lost = refused;
      refused = 0;
      return { text: textOf([...table.values()]), refused: lost };
    },
  };
}

/** The sum, the count and each quantile are a series. */
const sizeOf = (kind: Series['kind']): number => (kind === 'summary' ? 2 + quantiles.length : 1);

interface Sample {
  readonly kind: Series['kind'];
  readonly name: string;
  /** As Prometheus writes them, in order of their names, without braces. */
  readonly labels: string;
  readonly value: number;
  /** A gauge with a sign changes by its value. */
  readonly isChange: boolean;
  /** How many events one line stands for. */
  readonly weight: number;
}

const lineForm =
  /^([^:|@#]{1,128}):([+-]?\d{1,32}(?:\.\d{1,32})?(?:[eE][+-]?\d{1,3})?)\|(c|g|ms|h|d)((?:\|[^|]*){0,8})$/;
const rateForm = /^@(0\.\d{1,16}|1(?:\.0{1,16})?)$/;

function parseLine(line: string): Sample | undefined {
  const [, rawName, number, type, rest = ''] = lineForm.exec(line) ?? [];
  if (rawName === undefined || number === undefined) return undefined;
  let [weight, labels]: [number, string | undefined] = [1, ''];
  for (const part of rest.split('|').slice(1)) {
    // Fields of later versions, such as `T` for a time, are ignored.
    if (part.startsWith('@')) weight = 1 / Number(rateForm.exec(part)?.[1] ?? Number.NaN);
    else if (part.startsWith('#')) labels = labelsOf(part.slice(1));
  }
  const value = type === 'ms' ? Number(number) / 1000 : Number(number);
  if (labels === undefined || !Number.isFinite(value) || !Number.isFinite(weight)) return undefined;
  const kind = type === 'c' ? 'counter' : type === 'g' ? 'gauge' : 'summary';
  // A counter only grows. Timers never took less than no time.
  if (value < 0 && kind === 'counter') return undefined;
  const name = ownName(rawName);
  return { kind, name, labels, value, isChange: /^[+-]/.test(number), weight };
}

/** Each other character becomes an underscore, as in Prometheus' own translations of StatsD. */
function ownName(text: string): string {
  const name = text.slice(0, nameMaxLength).replaceAll(/[^A-Za-z0-9_]/g, '_');
  return /^\d/.test(name) ? `_${name.slice(1 - nameMaxLength)}` : name;
}

/** `a:b,c` becomes `a="b",c=""`. Undefined beyond a limit, or for a name that is given twice or is ours. */
function labelsOf(text: string): string | undefined {
  const labels = new Map<string, string>();
  const tags = text.split(',');
  if (tags.length > tagsMax) return undefined;
  for (const tag of tags) {
    if (tag === '') continue;
    const at = tag.indexOf(':');
    const name = ownName(at < 0 ? tag : tag.slice(0, at));
    const value = at < 0 ? '' : tag.slice(at + 1);
    if (name === '' || name === quantileLabel || value.length > tagMaxLength || labels.has(name)) return undefined;
    labels.set(name, value);
  }
  return [...labels]
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, value]) => `${name}="${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`)
    .join(',');
}

/** False if a sum would become infinite. */
function add(series: Series, { value, isChange, weight }: Sample): boolean {
  if (series.kind === 'summary') {
    const [count, sum] = [series.count + weight, series.sum + value * weight];
    if (!Number.isFinite(count) || !Number.isFinite(sum)) return false;
    [series.count, series.sum] = [count, sum];
    series.newest[series.next] = value;
    series.next = (series.next + 1) % timerValues;
    return true;
  }
  const next = series.kind === 'counter' ? series.value + value * weight : isChange ? series.value + value : value;
  if (!Number.isFinite(next)) return false;
  series.value = next;
  return true;
}

/** Lines of one name stand together, after their type. */
function textOf(all: readonly Series[]): string {
  const lines: string[] = [];
  let typed = '';
  for (const series of all.toSorted((one, other) => (one.name < other.name ? -1 : one.name > other.name ? 1 : 0))) {
    const { name, labels, kind } = series;
    if (typed !== name) lines.push(`# TYPE ${name} ${kind}`);
    typed = name;
    const braced = (more = ''): string => {
      const inside = [labels, more].filter((text) => text !== '').join(',');
      return inside === '' ? '' : `{${inside}}`;
    };
    if (series.kind !== 'summary') {
      lines.push(`${name}${braced()} ${series.value}`);
      continue;
    }
    const sorted = series.newest.toSorted((one, other) => one - other);
    for (const quantile of quantiles) {
      const value = sorted[Math.ceil(quantile * sorted.length) - 1] ?? 0;
      lines.push(`${name}${braced(`${quantileLabel}="${quantile}"`)} ${value}`);
    }
    lines.push(`${name}_sum${braced()} ${series.sum}`, `${name}_count${braced()} ${series.count}`);
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}
