import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { createApiKey, openSqliteRecords, recordsFileName } from '@soulbox/storage';
import { server } from './server.ts';

/** A valid key of another team of the server. Writes the records of the server directly. */
export async function createStrangerKey(teamName: string): Promise<string> {
  await using records = openSqliteRecords(join(server.dataDirectory, recordsFileName));
  const team = { id: randomUUID(), name: teamName, isDefault: false, createdAt: Date.now() };
  await records.teams.create(team);
  return (await createApiKey(records, team, 'e2e')).key.reveal();
}
