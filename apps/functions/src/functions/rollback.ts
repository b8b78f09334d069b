import { SoulBoxError } from '@soulbox/base';
import type { FunctionRecord } from '@soulbox/storage';
import type { FunctionsContext } from '../context.ts';
import { getOwn } from '../definitions/find.ts';
import { readVersion, replaceSandbox } from './replace-sandbox.ts';
import type { ChangeContext } from './replace-sandbox.ts';

/** Serves an earlier version with the current settings. */
export async function rollbackFunction(
  context: ChangeContext,
  teamId: string,
  name: string,
  version: number | undefined,
): Promise<FunctionRecord> {
  const old = await getOwn(context, teamId, name);
  const target = version ?? (await numberBefore(context, old));
  if (target === old.activeVersion) return old;
  return await replaceSandbox(context, old, { ...old, activeVersion: target }, await readVersion(context, old, target));
}

/** The version that was created before the active one. */
async function numberBefore({ records }: FunctionsContext, record: FunctionRecord): Promise<number> {
  const versions = await records.functions.listVersions(record.id);
  const found = versions.find(({ number }) => number < record.activeVersion);
  if (found !== undefined) return found.number;
  throw new SoulBoxError('version_not_found', `Function "${record.name}" has no version before the active one.`);
}
