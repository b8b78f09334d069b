import { join } from 'node:path';

export const team = 'team1';

/** The files of the writer (writer.ts) in a folder. */
export function placesOf(folder: string) {
  return {
    folder,
    records: join(folder, 'records.sqlite'),
    logs: join(folder, 'audit'),
    secrets: join(folder, 'secrets'),
    masterKey: join(folder, 'secrets', 'master-key'),
  };
}
