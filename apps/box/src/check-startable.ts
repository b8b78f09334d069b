import { join } from 'node:path';
import { refuseNewerRecords } from '@soulbox/runner/newer-records';
import { checkSqliteSchema, recordsFileName } from '@soulbox/storage';
import type { BoxConfig } from './config.ts';
import { refuseOtherOwner } from './instance-lock.ts';

/**
 * Detects what would otherwise stop the start after minutes of preparation: another server with this instance number,
 * or records of a newer version. Changes nothing. Throws the same error as the start.
 */
export async function checkStartable({ dataDirectory, runner }: BoxConfig): Promise<void> {
  await refuseOtherOwner(runner.instance, dataDirectory);
  checkSqliteSchema(join(dataDirectory, recordsFileName));
  await refuseNewerRecords(dataDirectory);
}
