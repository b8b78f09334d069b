import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { createApiKey, openSqliteRecords, recordsFileName } from '@soulbox/storage';

/** A valid key of a new team. Writes the records of the server with this data folder directly. */
export async function createKeyOfNewTeam(dataDirectory: string, teamName: string): Promise<string> {
  await using records = openSqliteRecords(join(dataDirectory, recordsFileName));
  const team = { id: randomUUID(), name: teamName, isDefault: false, createdAt: Date.now() };
  await records.teams.create(team);
  return (await createApiKey(records, team, 'e2e')).key.reveal();
}
