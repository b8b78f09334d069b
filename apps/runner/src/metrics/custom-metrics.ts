import { errorFromUnknown } from '@soulbox/base';
import type { Clock, Logger } from '@soulbox/base';
import type { RunningSandbox, SandboxTable } from '../registry/table.ts';
import type { Activity } from './activity.ts';
import { parsePrometheusText, seriesKey } from './prometheus-text.ts';
import type { CustomSample, CustomType } from './prometheus-text.ts';

/** How often sandboxes are read whose programs report metrics. */
const everyMs = 10_000;
/** How often others are read that do something, to see whether they report metrics now. */
const discoverEveryMs = 60_000;
/** A read by a caller that is younger than this is not repeated. */
const freshMs = 1000;
const concurrency = 8;
/** Series of one sandbox, of one source, and of all sandboxes together. */
const seriesMax = 256;
const totalSeriesMax = 20_000;
/** Characters of the names and labels of all series of one sandbox, and of all sandboxes together. */
const textMax = 65_536;
const totalTextMax = 128 * textMax;
/** Of the limits of all sandboxes together, the sandboxes of one team may use this part. */
const teamShare = 1 / 4;
/** Values of a series that are kept: half an hour. */
const valuesMax = 180;
const keptMs = everyMs * valuesMax;

export interface CustomValue {
  readonly atMs: number;
  readonly value: number;
}

export interface CustomSeries extends Pick<CustomSample, 'name' | 'labels'> {
  readonly type: CustomType;
  readonly help: string;
  /** Oldest first. Never empty. */
  readonly values: readonly CustomValue[];
}

export interface CustomReport {
  readonly series: readonly CustomSeries[];
  /** Lines of the last read that were not valid, and series beyond a limit. */
  readonly rejected: number;
  /** What was wrong at the last read, for the author of the metrics. */
  readonly faults: readonly string[];
}

/** Metrics that programs in sandboxes report about themselves. They are kept in memory. */
export interface CustomMetrics extends Disposable {
  /** Reads the sandbox now, if it runs. Never throws: an unreachable sandbox has the values of earlier reads. */
  read(sandboxId: string): Promise<CustomReport>;
  /** What is known without asking the sandbox. */
  known(sandboxId: string): CustomReport;
  remove(sandboxId: string): void;
}

interface Series {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  type: CustomType;
  help: string;
  /** Time and value by turns: pairs of objects would need five times the memory. */
  readonly numbers: number[];
}

/** What series use. */
interface Usage {
  series: number;
  text: number;
}

interface Entry {
  readonly teamId: string;
  /** By `seriesKey`. */
  readonly series: Map<string, Series>;
  textSize: number;
  readAtMs: number;
  /** Whether its programs reported anything at the last read. */
  reports: boolean;
  underWay: Promise<void> | undefined;
  rejected: number;
  faults: readonly string[];
}

export function createCustomMetrics(options: {
  table: Pick<SandboxTable, 'running' | 'isBusy'>;
  activity: Pick<Activity, 'idleMs'>;
  clock: Clock;
  logger: Logger;
}): CustomMetrics {
  const { table, activity, clock, logger } = options;
  const entries = new Map<string, Entry>();
  const total: Usage = { series: 0, text: 0 };
  /** Only of teams that have series. */
  const teams = new Map<string, Usage>();

  const entryOf = ({ record: { sandboxId, tenant } }: RunningSandbox): Entry => {
    const known = entries.get(sandboxId);
    if (known !== undefined) return known;
    const nothing = { textSize: 0, underWay: undefined, rejected: 0, faults: [], reports: false };
    const entry: Entry = { teamId: tenant.teamId, series: new Map(), readAtMs: -Infinity, ...nothing };
    entries.set(sandboxId, entry);
    return entry;
  };

  const count = (entry: Entry, key: string, sign: 1 | -1): void => {
    const team = teams.get(entry.teamId) ?? { series: 0, text: 0 };
    for (const usage of [total, team]) {
      usage.series += sign;
      usage.text += sign * key.length;
    }
    if (team.series === 0) teams.delete(entry.teamId);
    else teams.set(entry.teamId, team);
    entry.textSize += sign * key.length;
  };

  const fits = ({ series, text }: Usage, key: string, share = 1): boolean =>
    series < share * totalSeriesMax && text + key.length <= share * totalTextMax;

  const hasRoom = ({ series, textSize, teamId }: Entry, key: string): boolean => {
    const team = teams.get(teamId);
    if (series.size >= seriesMax || textSize + key.length > textMax || !fits(total, key)) return false;
    return team === undefined || fits(team, key, teamShare);
  };

  /** Returns the number of samples for which there was no room. */
  const take = (entry: Entry, samples: readonly CustomSample[], atMs: number): number => {
    let refused = 0;
    for (const sample of samples) {
      const key = seriesKey(sample);
      let series = entry.series.get(key);
      if (series === undefined) {
        if (!hasRoom(entry, key)) {
          refused += 1;
          continue;
        }
        count(entry, key, 1);
        series = createSeries(key);
        entry.series.set(key, series);
      }
      series.type = sample.type;
      if (series.help !== sample.help) series.help = ownText(sample.help);
      series.numbers.push(atMs, sample.value);
      if (series.numbers.length > 2 * valuesMax) series.numbers.splice(0, 2);
    }
    return refused;
  };

  const forgetOld = (entry: Entry, nowMs: number): void => {
    for (const [key, { numbers }] of entry.series) {
      if ((numbers.at(-2) ?? 0) > nowMs - keptMs) continue;
      entry.series.delete(key);
      count(entry, key, -1);
    }
  };

  const ask = async (sandbox: RunningSandbox, entry: Entry): Promise<void> => {
    const { sandboxId } = sandbox.record;
    const nowMs = clock.now();
    entry.readAtMs = nowMs;
    try {
      const sources = await sandbox.live.envd.customMetrics();
      // It may have ended meanwhile.
      if (entries.get(sandboxId) !== entry) return;
      const parsed = sources.map(({ name, text, fault }) => {
        const result = parsePrometheusText(text, seriesMax);
        const faults = [...(fault === undefined ? [] : [fault]), ...result.faults];
        return { ...result, faults: faults.map((one) => `${name}: ${one}`) };
      });
      forgetOld(entry, nowMs);
      const refused = parsed.reduce((sum, { samples }) => sum + take(entry, samples, nowMs), 0);
      entry.reports = sources.length > 0;
      entry.rejected = refused + parsed.reduce((sum, { rejected }) => sum + rejected, 0);
      const beyond = `${refused} series are beyond the limits of a sandbox (${seriesMax} series, ${textMax} characters), of its team or of the server`;
      entry.faults = [...(refused === 0 ? [] : [beyond]), ...parsed.flatMap(({ faults }) => faults)].slice(0, 16);
    } catch (err) {
      // One that does not answer takes a place of those that do: it is asked as rarely as one that reports nothing.
      entry.reports = false;
      entry.faults = [errorFromUnknown(err).message];
      logger.debug({ sandboxId, err }, 'metrics of user code could not be read');
    }
  };

  const readOnce = async (sandbox: RunningSandbox): Promise<void> => {
    const entry = entryOf(sandbox);
    entry.underWay ??= ask(sandbox, entry).finally(() => {
      entry.underWay = undefined;
    });
    await entry.underWay;
  };

  const isDue = ({ record: { sandboxId, tenant } }: RunningSandbox, nowMs: number): boolean => {
    // A frozen envd does not answer.
    if (table.isBusy(sandboxId)) return false;
    const entry = entries.get(sandboxId);
    // A sandbox that is used for a moment is not read at all.
    const ageMs = nowMs - (entry?.readAtMs ?? tenant.startedAtMs + everyMs - discoverEveryMs);
    if (entry?.reports === true) return ageMs >= everyMs;
    // An idle sandbox is not woken.
    return ageMs >= discoverEveryMs && activity.idleMs(sandboxId) < discoverEveryMs;
  };

  let isReading = false;
  const round = async (): Promise<void> => {
    if (isReading) return;
    isReading = true;
    try {
      const nowMs = clock.now();
      const due = table
        .running()
        .filter((sandbox) => isDue(sandbox, nowMs))
        .values();
      const worker = async (): Promise<void> => {
        for (const sandbox of due) await readOnce(sandbox);
      };
      await Promise.all(Array.from({ length: concurrency }, worker));
    } finally {
      isReading = false;
    }
  };
  const timer = setInterval(() => void round(), everyMs / 10);

  const known: CustomMetrics['known'] = (sandboxId) => {
    const entry = entries.get(sandboxId);
    if (entry === undefined) return { series: [], rejected: 0, faults: [] };
    const series = [...entry.series.values()].map(({ numbers, ...one }) => ({
      ...one,
      values: Array.from({ length: numbers.length / 2 }, (_, at) => ({
        atMs: numbers[2 * at] ?? 0,
        value: numbers[2 * at + 1] ?? 0,
      })),
    }));
    return { series, rejected: entry.rejected, faults: entry.faults };
  };

  return {
    known,
    async read(sandboxId) {
      const sandbox = table.running().find(({ record }) => record.sandboxId === sandboxId);
      const entry = entries.get(sandboxId);
      const isStale = clock.now() - (entry?.readAtMs ?? -Infinity) >= freshMs || entry?.underWay !== undefined;
      if (sandbox !== undefined && isStale && !table.isBusy(sandboxId)) await readOnce(sandbox);
      return known(sandboxId);
    },
    remove(sandboxId) {
      const entry = entries.get(sandboxId);
      for (const key of entry?.series.keys() ?? []) if (entry !== undefined) count(entry, key, -1);
      entries.delete(sandboxId);
    },
    [Symbol.dispose]() {
      clearInterval(timer);
    },
  };
}

/** Its texts are its own: parts of the text that was parsed would keep the whole of it in memory. */
function createSeries(key: string): Series {
  const [name, ...pairs] = JSON.parse(key) as [string, ...[string, string][]];
  return { name, labels: Object.fromEntries(pairs), type: 'untyped', help: '', numbers: [] };
}

const ownText = (text: string): string => JSON.parse(JSON.stringify(text)) as string;
