import { SoulBoxError } from '@soulbox/base';
import type { FunctionRecord } from '@soulbox/storage';
import type { FunctionsContext } from '../context.ts';

/** The team's function. A function of another team is treated as missing. */
export async function getOwn({ records }: FunctionsContext, teamId: string, name: string): Promise<FunctionRecord> {
  const record = await records.functions.find(name);
  if (record?.teamId !== teamId) throw functionNotFound(name);
  return record;
}

export function functionNotFound(name: string): SoulBoxError {
  return new SoulBoxError('function_not_found', `Function "${name}" was not found.`);
}
