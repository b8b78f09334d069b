import { spawnSync } from 'node:child_process';

/** The part of npm's answer that is used (`npm audit --json`, report version 2). */
export interface NpmAudit {
  readonly error?: { readonly code?: string; readonly summary?: string; readonly detail?: string };
  readonly message?: string;
  readonly vulnerabilities?: Readonly<Record<string, { readonly via: readonly (string | NpmAdvisory)[] }>>;
}

/** An advisory about a package itself; a text in its place names a dependency that has one. */
export interface NpmAdvisory {
  readonly name: string;
  readonly title: string;
  /** Ends with the id, such as `GHSA-35jh-r3h4-6jhm`. */
  readonly url: string;
  readonly severity: string;
  readonly range: string;
}

/** An advisory that somebody has read and accepts for a while. */
export interface AdvisoryException {
  readonly advisory: string;
  /** The last day, such as `2027-01-31`. At most `exceptionDaysMax` days ahead. */
  readonly until: string;
  readonly why: string;
}

export interface Judgement {
  /** What must be changed before a release. */
  readonly faults: readonly string[];
  readonly notes: readonly string[];
}

/** Longer exceptions are forgotten. */
export const exceptionDaysMax = 180;
const dayMs = 24 * 60 * 60 * 1000;
const serious = new Set(['high', 'critical']);

/** Reads the exceptions. Throws for an entry of another form. */
export function parseExceptions(text: string): readonly AdvisoryException[] {
  const entries = JSON.parse(text) as unknown;
  if (!Array.isArray(entries)) throw new TypeError('The exceptions must be a list.');
  return entries.map((entry) => {
    const { advisory, until, why } = entry as Partial<AdvisoryException>;
    const isWhole =
      /^GHSA(?:-[0-9a-z]{4}){3}$/.test(advisory ?? '') &&
      /^\d{4}-\d{2}-\d{2}$/.test(until ?? '') &&
      !Number.isNaN(Date.parse(until ?? '')) &&
      (why ?? '').length >= 10;
    if (!isWhole)
      throw new TypeError(`An exception must have "advisory", "until" and "why": ${JSON.stringify(entry)}.`);
    return { advisory, until, why } as AdvisoryException;
  });
}

/** What the advisories of an answer mean. `now` is in milliseconds since the Unix epoch. */
export function judgeAdvisories(
  vulnerabilities: NonNullable<NpmAudit['vulnerabilities']>,
  exceptions: readonly AdvisoryException[],
  now: number,
): Judgement {
  const [faults, notes]: [string[], string[]] = [[], []];
  const all = Object.values(vulnerabilities).flatMap(({ via }) => via.filter((one) => typeof one !== 'string'));
  const advisories = new Map(all.map((one) => [`${one.name} ${one.url}`, one]));
  notes.push(`${advisories.size} advisories for what is shipped.`);
  const used = new Set<AdvisoryException>();
  for (const { name, range, severity, title, url } of advisories.values()) {
    const text = `${name} ${range}: ${severity}: ${title} (${url})`;
    const exception = exceptions.find(({ advisory }) => url.endsWith(`/${advisory}`));
    if (exception !== undefined) used.add(exception);
    if (!serious.has(severity)) notes.push(text);
    else if (exception === undefined) faults.push(text);
    else if (isOver(exception, now)) faults.push(`${text}. The exception ended on ${exception.until}.`);
    else notes.push(`${text}. Accepted until ${exception.until}: ${exception.why}`);
  }
  for (const exception of exceptions) {
    if (!used.has(exception)) notes.push(`The exception for ${exception.advisory} is not needed.`);
    if (Date.parse(exception.until) > now + exceptionDaysMax * dayMs)
      faults.push(`The exception for ${exception.advisory} is longer than ${exceptionDaysMax} days.`);
  }
  return { faults, notes };
}

/** The last day counts whole. */
function isOver({ until }: AdvisoryException, now: number): boolean {
  return now >= Date.parse(until) + dayMs;
}

export type RegistryAnswer =
  | { readonly vulnerabilities: NonNullable<NpmAudit['vulnerabilities']> }
  | { readonly why: string };

/** Asks the registry that npm is configured for about what is shipped from a folder. */
export function askRegistry(root: string, timeoutMs: number): RegistryAnswer {
  const args = [
    'audit',
    '--omit=dev',
    '--json',
    '--no-update-notifier',
    '--fetch-retries=0',
    `--fetch-timeout=${timeoutMs}`,
  ];
  // npm may try twice, with the old form of the question.
  const limit = { timeout: 2 * timeoutMs + 10_000, maxBuffer: 64 * 1024 * 1024 };
  const { stdout, error } = spawnSync('npm', args, { cwd: root, encoding: 'utf8', ...limit });
  const { vulnerabilities, message, error: refusal } = parse(stdout);
  if (vulnerabilities !== undefined) return { vulnerabilities };
  const reasons = [message, refusal?.summary, refusal?.detail, refusal?.code, error?.message];
  return { why: reasons.find((text) => text !== undefined && text !== '') ?? 'npm does not say why' };
}

function parse(text: unknown): NpmAudit {
  try {
    return typeof text === 'string' ? (JSON.parse(text) as NpmAudit) : {};
  } catch {
    return {};
  }
}
