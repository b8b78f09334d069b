import type { Secret } from '@soulbox/base';
import type { FunctionRecord } from '@soulbox/storage';
import { getOwn } from '../definitions/find.ts';
import { withRequest } from '../definitions/settings.ts';
import { readVersion, replaceSandbox } from './replace-sandbox.ts';
import type { ChangeContext } from './replace-sandbox.ts';

export async function setSecrets(
  context: ChangeContext,
  teamId: string,
  name: string,
  secrets: Readonly<Record<string, Secret>>,
): Promise<FunctionRecord> {
  const old = await getOwn(context, teamId, name);
  const wanted = await withRequest(context, old, { secrets });
  return await replaceSandbox(context, old, wanted, await readVersion(context, old));
}
