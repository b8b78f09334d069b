import type { DatabaseSync } from 'node:sqlite';
import { Secret } from '@soulbox/base';
import type { OldFunctionValues, SealingRecords } from '../sealing.ts';
import { rewriteFile } from './erase.ts';

const leftSql = `
  SELECT (SELECT count(*) FROM webhooks WHERE sealed_secret = '')
    + (SELECT count(*) FROM functions WHERE sealed_environment = '')
    + (SELECT count(*) FROM audit_subjects WHERE sealed_key = '') AS number`;

/* oxlint-disable typescript/require-await -- node:sqlite is synchronous, the interface is not */
export function sqliteSealing(db: DatabaseSync): SealingRecords {
  const pending = db.prepare("SELECT 1 FROM pending_sealing WHERE task = 'values'");
  const pendingBlobs = db.prepare("SELECT 1 FROM pending_sealing WHERE task = 'blobs'");
  const doneBlobs = db.prepare("DELETE FROM pending_sealing WHERE task = 'blobs'");
  const left = db.prepare(leftSql);
  const done = db.prepare("DELETE FROM pending_sealing WHERE task = 'values'");
  const webhooks = db.prepare(
    "SELECT id, team_id, signature_secret FROM webhooks WHERE sealed_secret = '' ORDER BY id LIMIT ?",
  );
  const sealWebhook = db.prepare(
    "UPDATE webhooks SET sealed_secret = ?2, signature_secret = '' WHERE id = ?1 AND sealed_secret = ''",
  );
  const functions = db.prepare(
    "SELECT id, team_id, environment, sealed_secrets FROM functions WHERE sealed_environment = '' ORDER BY id LIMIT ?",
  );
  const sealFunction = db.prepare(
    `UPDATE functions SET sealed_environment = ?2, sealed_secrets = ?3, environment = '{}'
     WHERE id = ?1 AND sealed_environment = ''`,
  );
  const subjectKeys = db.prepare(
    "SELECT team_id, key_id, wrapped FROM audit_subjects WHERE sealed_key = '' ORDER BY team_id, key_id LIMIT ?",
  );
  const sealSubjectKey = db.prepare(
    `UPDATE audit_subjects SET sealed_key = ?3, wrapped = x'', wrap_key_id = ''
     WHERE team_id = ?1 AND key_id = ?2 AND sealed_key = ''`,
  );

  return {
    isPending: async () => pending.get() !== undefined,
    listWebhooks: async (limit) =>
      webhooks.all(limit).map((row) => ({
        id: String(row['id']),
        teamId: String(row['team_id']),
        signatureSecret: new Secret(String(row['signature_secret'])),
      })),
    sealWebhook: async (id, sealedSecret) => void sealWebhook.run(id, sealedSecret),
    listFunctions: async (limit) =>
      functions.all(limit).map((row) => ({
        id: String(row['id']),
        teamId: String(row['team_id']),
        // The JSON was written by an older `rowFromFunction` and is trusted.
        environment: JSON.parse(String(row['environment'])) as OldFunctionValues['environment'],
        oldSecrets: JSON.parse(String(row['sealed_secrets'])) as OldFunctionValues['oldSecrets'],
      })),
    sealFunction: async (id, { sealedEnvironment, sealedSecrets }) =>
      void sealFunction.run(id, sealedEnvironment, JSON.stringify(sealedSecrets)),
    listSubjectKeys: async (limit) =>
      subjectKeys.all(limit).map((row) => ({
        teamId: String(row['team_id']),
        id: String(row['key_id']),
        wrapped: Buffer.from(row['wrapped'] as Uint8Array),
      })),
    sealSubjectKey: async (teamId, id, sealedKey) => void sealSubjectKey.run(teamId, id, sealedKey),
    areBlobsPending: async () => pendingBlobs.get() !== undefined,
    finishBlobs: async () => void doneBlobs.run(),
    finish: async () => {
      if (Number(left.get()?.['number']) > 0 || !rewriteFile(db)) return false;
      done.run();
      return true;
    },
  };
}
