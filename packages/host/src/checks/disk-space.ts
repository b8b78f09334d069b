import type { StatsFs } from 'node:fs';
import { access, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { recordsFileName } from '@soulbox/storage/records-file';
import type { Check, HostSubject } from '../finding.ts';
import { sameFix } from '../finding.ts';

const gib = 1024 ** 3;
/** A base template takes 0.4 GiB and a warm sandbox a few MiB. Below this limit the first start itself may fail. */
const failBelowBytes = 1 * gib;
const warnBelowBytes = 5 * gib;
const warnBelowInodes = 100_000;

export const checkDiskSpace: Check = async (subject: HostSubject) => {
  const { stats, path } = await statfsOfNearest(subject.dataDirectory);
  const free = stats.bavail * stats.bsize;
  // btrfs creates inodes as needed and reports 0 of 0.
  const inodesShort = stats.files > 0 && stats.ffree < warnBelowInodes;
  const detail = `${(free / gib).toFixed(1)} GiB and ${stats.files > 0 ? String(stats.ffree) : 'unlimited'} inodes free in ${path}`;
  const base = { id: 'disk-space', title: 'Free disk', detail, protects: 'templates and the disks of sandboxes' };
  if (free >= warnBelowBytes && !inodesShort) return { ...base, status: 'ok' };
  const fix = sameFix('free some space, or put the data elsewhere with --data-dir');
  if (free >= failBelowBytes) return { ...base, status: 'warn', fix };
  // A folder that was already served has its template and records. Its server starts, if only to let users free space.
  if (!(await isServed(subject.dataDirectory))) return { ...base, status: 'fail', fix };
  const can =
    'the server starts, but creates and pauses can return 507; when almost no space is left, everything except kills and deletes does';
  return { ...base, detail: `${detail}: ${can}`, status: 'fail', startsAnyway: true, fix };
};

async function isServed(dataDirectory: string): Promise<boolean> {
  return await access(join(dataDirectory, recordsFileName)).then(
    () => true,
    () => false,
  );
}

/** The file system of the folder, or of its nearest existing parent. */
export async function statfsOfNearest(path: string): Promise<{ stats: StatsFs; path: string }> {
  try {
    return { stats: await statfs(path), path };
  } catch (error) {
    if (path === '/') throw error;
    return await statfsOfNearest(dirname(path));
  }
}
