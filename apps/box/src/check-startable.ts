import { join } from 'node:path';
import { refuseNewerRecords } from '@soulbox/runner/newer-records';
import { checkSqliteSchema } from '@soulbox/storage';
import type { BoxConfig } from './config.ts';
import { refuseOtherOwner } from './instance-lock.ts';

/**
 * What would stop the start after minutes of preparation: another server of this instance number, and records of a newer version.
 * Changes nothing. Throws what the start would throw.
 */
export async function checkStartable({ dataDirectory, runner }: BoxConfig): Promise<void> {
  await refuseOtherOwner(runner.instance, dataDirectory);
  checkSqliteSchema(join(dataDirectory, 'records.sqlite'));
  await refuseNewerRecords(dataDirectory);
}
