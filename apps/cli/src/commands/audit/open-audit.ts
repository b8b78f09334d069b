import { lchown, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { openAuditSigningKey, openLog, openLogFiles } from '@soulbox/audit';
import type { Log } from '@soulbox/audit';
import { SoulBoxError } from '@soulbox/base';
import type { Records, TeamRecord } from '@soulbox/storage';
import { resolveFolders } from '../../config.ts';
import { getTeam } from '../../records/get-team.ts';
import { openRecords } from '../../records/open-records.ts';

/** The audit log of a team, for a command of the host, possibly beside a running server. */
export interface OpenedAudit extends AsyncDisposable {
  readonly records: Records;
  readonly team: TeamRecord;
  /** The folder of all logs. */
  readonly directory: string;
  /** Opens the log of the team. Throws `file_not_found` if it has none. */
  openLog(): Promise<Log>;
  /** Gives a file that this command wrote to the user of the server. */
  handOver(...names: readonly string[]): Promise<void>;
}

export async function openAudit(dataDirFlag: string | undefined, team: string | undefined): Promise<OpenedAudit> {
  const { dataDirectory } = resolveFolders(dataDirFlag);
  const { records } = await openRecords(dataDirectory, { adds: false });
  const directory = join(dataDirectory, 'audit');
  try {
    const found = await getTeam(records, team);
    return {
      ...{ records, directory, team: found },
      async openLog() {
        const files = openLogFiles(join(directory, found.id));
        if ((await files.readCheckpoint()) === undefined)
          throw new SoulBoxError('file_not_found', `The team "${found.name}" has no audit log yet.`);
        const signingKey = await openAuditSigningKey(join(dataDirectory, 'secrets'));
        return await openLog({ files, privateKey: signingKey.reveal(), newOrigin: found.id });
      },
      async handOver(...names) {
        const { uid, gid } = await stat(directory);
        for (const name of names) await lchown(join(directory, name), uid, gid);
      },
      [Symbol.asyncDispose]: () => records[Symbol.asyncDispose](),
    };
  } catch (error) {
    await records[Symbol.asyncDispose]();
    throw error;
  }
}
