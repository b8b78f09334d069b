import { SoulBoxError } from '@soulbox/base';
import type { FunctionRecord } from '@soulbox/storage';
import { getOwn } from '../definitions/find.ts';
import { readVersion, replaceSandbox } from './replace-sandbox.ts';
import type { ChangeContext } from './replace-sandbox.ts';

export async function removeSecret(
  context: ChangeContext,
  teamId: string,
  name: string,
  secret: string,
): Promise<FunctionRecord> {
  const old = await getOwn(context, teamId, name);
  if (!Object.hasOwn(old.sealedSecrets, secret))
    throw new SoulBoxError('secret_not_found', `Function "${name}" has no secret "${secret}".`);
  const { [secret]: _, ...sealedSecrets } = old.sealedSecrets;
  return await replaceSandbox(context, old, { ...old, sealedSecrets }, await readVersion(context, old));
}
