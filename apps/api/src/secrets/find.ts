import type { SecretRecord } from '@soulbox/storage';
import type { ApiContext } from '../context.ts';
import { idPrefix, secretNotFound } from './schemas.ts';

/** A secret of the team by its id or its name, in any case. Throws `secret_not_found`. */
export async function getSecret({ records }: ApiContext, teamId: string, idOrName: string): Promise<SecretRecord> {
  const found = idOrName.startsWith(idPrefix)
    ? await records.secrets.findById(teamId, idOrName.slice(idPrefix.length))
    : await records.secrets.findByName(teamId, idOrName.toLowerCase());
  if (found === undefined) throw secretNotFound(idOrName);
  return found;
}
