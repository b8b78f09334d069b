import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Check, Finding, HostSubject } from '../finding.ts';
import { sameFix } from '../finding.ts';

const gib = 1024 ** 3;
const runDirectory = '/run';
const figureNames = [
  ...[
    'totalBytes',
    'freeBytes',
    'reserveBytes',
    'committedBytes',
    'toldBytes',
    'overcommit',
    'disks',
    'stopped',
    'atMs',
  ],
] as const;

type Figures = Readonly<Record<string, number>>;

/**
 * Reads the figures of the disk budget that a server wrote to /run. If no server has run since the last boot, there is
 * nothing to report.
 */
export const checkDiskBudget: Check = async ({ dataDirectory }: HostSubject) => {
  const names = (await readdir(runDirectory)).filter((name) => /^soulbox-\d+$/.test(name));
  const all = await Promise.all(names.map(async (name) => await readFigures(join(runDirectory, name, 'disk.json'))));
  const figures = all.find((entry) => entry?.dataDirectory === dataDirectory)?.figures;
  return figures === undefined ? [] : [judgeDiskBudget(figures, Date.now())];
};

export function judgeDiskBudget(figures: Figures, nowMs: number): Finding {
  const of = (name: (typeof figureNames)[number]): number => figures[name] ?? 0;
  const size = (name: (typeof figureNames)[number]): string => `${(of(name) / gib).toFixed(1)} GiB`;
  const ratio = of('toldBytes') / Math.max(1, of('totalBytes') - of('reserveBytes'));
  const detail =
    `${size('freeBytes')} of ${size('totalBytes')} free, ${size('reserveBytes')} reserved, ${size('committedBytes')} committed; ` +
    `${of('disks')} disks with a total size of ${size('toldBytes')}, ${ratio.toFixed(1)} times the available space; 1/${of('overcommit')} of each is promised; ` +
    `${of('stopped')} sandboxes stopped (${Math.round((nowMs - of('atMs')) / 1000)} s ago)`;
  const base = { id: 'disk-budget', title: 'Disk budget', detail, protects: 'the disks of running sandboxes' };
  const isShort = of('freeBytes') < of('reserveBytes') + of('committedBytes');
  if (!isShort && of('stopped') === 0) return { ...base, status: 'ok' };
  return {
    ...base,
    status: 'warn',
    fix: sameFix(
      'free space on the disk of the data folder: the disk promised to sandboxes is not available, and sandboxes that write are stopped',
    ),
  };
}

async function readFigures(path: string): Promise<{ dataDirectory: unknown; figures: Figures } | undefined> {
  try {
    const parsed = JSON.parse(await readFile(path, 'utf8')) as Readonly<Record<string, unknown>>;
    const numbers = figureNames.map((name) => [name, Number(parsed[name])] as const);
    return { dataDirectory: parsed['dataDirectory'], figures: Object.fromEntries(numbers) };
  } catch {
    return undefined;
  }
}
