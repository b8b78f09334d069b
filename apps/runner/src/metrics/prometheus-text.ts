/** A value with its name and labels, as user code reported it. */
export interface CustomSample {
  readonly name: string;
  readonly type: CustomType;
  readonly help: string;
  /** In order of the names. */
  readonly labels: Readonly<Record<string, string>>;
  /** Any number, also NaN and the infinities. */
  readonly value: number;
}

const types = ['counter', 'gauge', 'histogram', 'summary', 'untyped'] as const;
export type CustomType = (typeof types)[number];

export interface ParsedText {
  readonly samples: CustomSample[];
  /** Lines that are not valid or beyond a limit. */
  readonly rejected: number;
  /** What is wrong with the first of them. */
  readonly faults: string[];
}

const nameMaxLength = 128;
const labelsMax = 16;
const valueMaxLength = 256;
const helpMaxLength = 256;
const lineMaxLength = 8192;
/** Every number that a program prints is shorter. */
const numberMaxLength = 64;
const faultsMax = 3;
/** Names of the server's own metrics. */
const reservedPrefix = 'soulbox_';
const familySuffix = /_(?:bucket|sum|count)$/;

/**
 * Parses the text format of Prometheus, version 0.0.4. The text is hostile: a line that is not valid costs only itself,
 * and every part has a limit. No expression here may need time that grows faster than the line. Time stamps of lines are
 * ignored.
 */
export function parsePrometheusText(text: string, samplesMax: number): ParsedText {
  const families = new Map<string, { type: CustomType; help: string }>();
  const found = new Map<string, Omit<CustomSample, 'type' | 'help'>>();
  const faults: string[] = [];
  let rejected = 0;
  for (const [index, line] of text.split('\n').entries()) {
    const fault = takeLine(line.trim(), families, found, samplesMax);
    if (fault === undefined) continue;
    rejected += 1;
    if (faults.length < faultsMax) faults.push(`line ${index + 1}: ${fault}`);
  }
  const samples = [...found.values()].map((sample) => {
    const family = families.get(sample.name) ?? families.get(sample.name.replace(familySuffix, ''));
    return { ...sample, type: family?.type ?? ('untyped' as const), help: family?.help ?? '' };
  });
  return { samples, rejected, faults };
}

/** Returns what is wrong. */
function takeLine(
  line: string,
  families: Map<string, { type: CustomType; help: string }>,
  found: Map<string, Omit<CustomSample, 'type' | 'help'>>,
  samplesMax: number,
): string | undefined {
  if (line === '') return undefined;
  if (line.length > lineMaxLength) return `longer than ${lineMaxLength} characters`;
  if (line.startsWith('#')) {
    // Descriptions are bounded like what they describe.
    if (families.size < samplesMax) takeComment(line, families);
    return undefined;
  }
  const sample = parseSample(line);
  if (typeof sample === 'string') return sample;
  const key = seriesKey(sample);
  if (found.has(key)) return 'the same name and labels twice';
  if (found.size >= samplesMax) return `more than ${samplesMax} series`;
  found.set(key, sample);
  return undefined;
}

/** The same for the same name and labels. */
export function seriesKey({ name, labels }: Pick<CustomSample, 'name' | 'labels'>): string {
  return JSON.stringify([name, ...Object.entries(labels)]);
}

function takeComment(line: string, families: Map<string, { type: CustomType; help: string }>): void {
  const [, keyword = '', name = '', text = ''] = /^#\s+(HELP|TYPE)\s+([a-zA-Z_:][\w:]*)(?:\s([^]*))?$/.exec(line) ?? [];
  const rest = text.trim();
  if (name === '' || name.length > nameMaxLength) return;
  const family = families.get(name) ?? { type: 'untyped', help: '' };
  families.set(name, family);
  if (keyword === 'HELP') family.help = unescape(rest).slice(0, helpMaxLength);
  else family.type = types.find((type) => type === rest) ?? 'untyped';
}

function parseSample(line: string): Omit<CustomSample, 'type' | 'help'> | string {
  const name = /^[a-zA-Z_:][\w:]*/.exec(line)?.[0];
  if (name === undefined) return 'no valid name';
  if (name.length > nameMaxLength) return `a name of more than ${nameMaxLength} characters`;
  if (name.startsWith(reservedPrefix)) return `names that begin with ${reservedPrefix} are reserved`;
  const labelled = parseLabels(line, name.length);
  if (typeof labelled === 'string') return labelled;
  const [value, timestamp, ...others] = line.slice(labelled.end).trim().split(/\s+/);
  if (others.length > 0 || (timestamp !== undefined && !/^-?\d+$/.test(timestamp))) return 'text after the value';
  const parsed = parseValue(value ?? '');
  return parsed === undefined ? 'no valid value' : { name, labels: labelled.labels, value: parsed };
}

/** From the braces after the name, if there are any. */
function parseLabels(
  line: string,
  from: number,
): { readonly labels: Readonly<Record<string, string>>; readonly end: number } | string {
  const labels: [string, string][] = [];
  const open = /\s*\{\s*/y;
  open.lastIndex = from;
  if (!open.test(line)) return { labels: {}, end: from };
  const pair = /([a-zA-Z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(,?)\s*/y;
  let at = open.lastIndex;
  while (line[at] !== '}') {
    pair.lastIndex = at;
    const [, label = '', text = '', comma] = pair.exec(line) ?? [];
    if (label === '' || (comma === '' && line[pair.lastIndex] !== '}')) return 'no valid labels';
    const value = unescape(text);
    if (label.startsWith('__')) return 'labels that begin with __ are reserved';
    if (label.length > nameMaxLength || value.length > valueMaxLength) return 'a label that is too long';
    if (labels.some(([other]) => other === label)) return 'the same label twice';
    if (labels.length >= labelsMax) return `more than ${labelsMax} labels`;
    labels.push([label, value]);
    at = pair.lastIndex;
  }
  labels.sort(([one], [other]) => (one < other ? -1 : 1));
  return { labels: Object.fromEntries(labels), end: at + 1 };
}

const escapes: Readonly<Record<string, string>> = { n: '\n', '"': '"', '\\': '\\' };

function unescape(text: string): string {
  return text.replaceAll(/\\(.)/g, (whole, character: string) => escapes[character] ?? whole);
}

function parseValue(text: string): number | undefined {
  if (text.length > numberMaxLength) return undefined;
  if (/^nan$/i.test(text)) return Number.NaN;
  const infinity = /^([+-]?)inf(?:inity)?$/i.exec(text);
  if (infinity !== null) return infinity[1] === '-' ? -Infinity : Infinity;
  return /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,4})?$/.test(text) ? Number(text) : undefined;
}
