import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { placeOfSubjectKey } from '@soulbox/audit';
import { isDiskFull } from '@soulbox/base';
import type { Logger, Secret } from '@soulbox/base';
import { placeOfWebhookSecret } from '@soulbox/api';
import { sealValues } from '@soulbox/functions';
import type { Keyring } from '@soulbox/keyring';
import type { OldFunctionValues, Records } from '@soulbox/storage';
import { openOldSecrets } from './old-secrets.ts';
import type { OpenOldSecret } from './old-secrets.ts';
import { openOldSubjectKeys } from './old-subject-keys.ts';

export interface SealOldValues {
  readonly records: Records;
  readonly keyring: Keyring;
  /**
   * Has the keys of older versions: `functions-key` encrypted the secrets of functions, `audit-wrap-key` the keys of
   * personal fields in the audit log.
   */
  readonly secretsDirectory: string;
  readonly logger: Logger;
}

const batchSize = 100;

/**
 * Encrypts what an older version stored readable or under a key of its own, and removes the old values and that key
 * from the disk. Does nothing once that is done. After a crash at any point, the next start continues. When the files
 * cannot be rewritten at the moment, the values are encrypted all the same, and the next start tries again.
 */
export async function sealOldValues({ records, keyring, secretsDirectory, logger }: SealOldValues): Promise<void> {
  const { sealing } = records;
  if (!(await sealing.isPending())) return;
  const oldKeyFile = join(secretsDirectory, 'functions-key');
  const oldWrapKeyFile = join(secretsDirectory, 'audit-wrap-key');
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
  const subjects = await sealSubjectKeys(records, keyring, oldWrapKeyFile);
  if (!(await finish(records, logger))) return;
  for (const file of [oldKeyFile, oldWrapKeyFile]) await rm(file, { force: true });
  if (webhooks + functions + subjects > 0)
    logger.info({ webhooks, functions, subjects }, 'stored secrets are encrypted with the master key');
}

/** Returns how many. */
async function sealSubjectKeys({ sealing }: Records, keyring: Keyring, wrapKeyFile: string): Promise<number> {
  let count = 0;
  for (;;) {
    const batch = await sealing.listSubjectKeys(batchSize);
    if (batch.length === 0) return count;
    const openOld = await openOldSubjectKeys(wrapKeyFile);
    for (const old of batch) {
      const sealed = await keyring.seal(openOld(old), placeOfSubjectKey(old.teamId, old.id));
      await sealing.sealSubjectKey(old.teamId, old.id, sealed);
    }
    count += batch.length;
  }
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
