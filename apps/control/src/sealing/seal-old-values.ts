import { rm } from 'node:fs/promises';
import { isDiskFull } from '@soulbox/base';
import type { Logger, Secret } from '@soulbox/base';
import { placeOfWebhookSecret } from '@soulbox/api';
import { sealValues } from '@soulbox/functions';
import type { Keyring } from '@soulbox/keyring';
import type { OldFunctionValues, Records } from '@soulbox/storage';
import { openOldSecrets } from './old-secrets.ts';
import type { OpenOldSecret } from './old-secrets.ts';

export interface SealOldValues {
  readonly records: Records;
  readonly keyring: Keyring;
  /** The key with which older versions encrypted the secrets of functions. */
  readonly oldKeyFile: string;
  readonly logger: Logger;
}

const batchSize = 100;

/**
 * Encrypts what an older version stored readable or under a key of its own, and removes the old values and that key
 * from the disk. Does nothing once that is done. After a crash at any point, the next start continues. When the files
 * cannot be rewritten at the moment, the values are encrypted all the same, and the next start tries again.
 */
export async function sealOldValues({ records, keyring, oldKeyFile, logger }: SealOldValues): Promise<void> {
  const { sealing } = records;
  if (!(await sealing.isPending())) return;
  let webhooks = 0;
  for (;;) {
    const batch = await sealing.listWebhooks(batchSize);
    if (batch.length === 0) break;
    for (const webhook of batch)
      await sealing.sealWebhook(webhook.id, await keyring.seal(webhook.signatureSecret, placeOfWebhookSecret(webhook)));
    webhooks += batch.length;
  }
  const openOld = await openOldSecrets(oldKeyFile);
  const lost: string[] = [];
  let functions = 0;
  for (;;) {
    const batch = await sealing.listFunctions(batchSize);
    if (batch.length === 0) break;
    for (const old of batch) await sealFunction(old, { records, keyring, openOld, lost });
    functions += batch.length;
  }
  if (lost.length > 0)
    logger.error(
      { functions: lost.slice(0, 20), count: lost.length },
      'secrets of functions cannot be decrypted: set them again',
    );
  if (!(await finish(records, logger))) return;
  await rm(oldKeyFile, { force: true });
  if (webhooks + functions > 0)
    logger.info({ webhooks, functions }, 'stored secrets are encrypted with the master key');
}

async function sealFunction(
  { id, teamId, environment, oldSecrets }: OldFunctionValues,
  parts: Pick<SealOldValues, 'records' | 'keyring'> & { readonly openOld: OpenOldSecret; readonly lost: string[] },
): Promise<void> {
  const secrets: Record<string, Secret> = {};
  const unreadable: Record<string, string> = {};
  for (const [name, text] of Object.entries(oldSecrets)) {
    const opened = parts.openOld(text, id, name);
    if (opened === undefined) unreadable[name] = text;
    else secrets[name] = opened;
  }
  if (Object.keys(unreadable).length > 0) parts.lost.push(id);
  const sealed = await sealValues(parts.keyring, { id, teamId }, { environment, secrets });
  // An unreadable secret stays, so that its function reports it instead of running without it.
  await parts.records.sealing.sealFunction(id, {
    ...sealed,
    sealedSecrets: { ...unreadable, ...sealed.sealedSecrets },
  });
}

/** False if the old values may still be in the files. */
async function finish({ sealing }: Records, logger: Logger): Promise<boolean> {
  try {
    if (await sealing.finish()) return true;
    logger.warn(
      {},
      'old values remain in the files of the records: another process uses them; the next start tries again',
    );
  } catch (err) {
    if (!isDiskFull(err)) throw err;
    logger.error(
      { err },
      'old values remain in the files of the records: the disk is full; the next start tries again',
    );
  }
  return false;
}
