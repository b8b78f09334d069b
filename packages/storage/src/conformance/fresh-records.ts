import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureDefaultTeam } from '../records/first-start.ts';
import type { Records } from '../records/records.ts';

/** Opens the records in a folder; called again with the same folder to check what was kept. */
export type OpenRecords = (folder: string) => Promise<Records>;

/** A team in addition to the default one. */
export const otherTeam = { id: 'other', name: 'other', isDefault: false, createdAt: 1 };

/** Empty records in a new folder, with the default team; returns the id of that team. */
export async function makeRecords(open: OpenRecords): Promise<{ folder: string; records: Records; team: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'soulbox-records-'));
  const records = await open(folder);
  return { folder, records, team: (await ensureDefaultTeam(records)).id };
}

export async function removeRecords(folder: string, records: Records): Promise<void> {
  await records[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
}
