import { chmodSync, closeSync, existsSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { errorFromUnknown, isNodeError, SoulBoxError } from '@soulbox/base';
import type { DiskReserve } from '../../reserve/disk-reserve.ts';
import type { Records } from '../records.ts';
import { sqliteApiKeys } from './api-keys.ts';
import { createAuditQueue } from './audit-queue.ts';
import { createAuditWriter } from './audit-writer.ts';
import { sqliteAudit } from './audit.ts';
import { sqliteBlobRootKeys } from './blob-root-keys.ts';
import { sqliteBuckets } from './buckets.ts';
import { sqliteBuildFiles } from './build-files.ts';
import { sqliteBuilds } from './builds.ts';
import { sqliteConnections } from './connections.ts';
import { sqliteDeliveries } from './deliveries.ts';
import { errorFromSqlite } from './errors.ts';
import { createEventLog } from './event-log.ts';
import { sqliteEvents } from './events.ts';
import { sqliteFunctions } from './functions.ts';
import { sqliteIdempotency } from './idempotency.ts';
import { sqliteKeyring } from './keyring.ts';
import { sqliteKv } from './kv.ts';
import { guardRecords } from './guard.ts';
import { pepperFileOf } from './key-pepper.ts';
import type { KeyPepper } from './key-pepper.ts';
import { migrate } from './migrate.ts';
import { pepperOfKeys, sealOldKeys } from './pepper-of-keys.ts';
import { sqliteQuotas } from './quotas.ts';
import { sqliteMemberships } from './memberships.ts';
import { sqlitePersonalTokens } from './personal-tokens.ts';
import { sqliteSandboxes } from './sandboxes.ts';
import { sqliteIdentityKeys } from './identity-keys.ts';
import { sqliteSigningKeys } from './signing-keys.ts';
import { sqliteSealing } from './sealing.ts';
import { sqliteSecrets } from './secrets.ts';
import { sqliteSessions } from './sessions.ts';
import { sqliteSnapshots } from './snapshots.ts';
import { sqliteSshKeys } from './ssh-keys.ts';
import { sqliteTeams } from './teams.ts';
import { sqliteTemplates } from './templates.ts';
import { sqliteUsedNonces } from './used-nonces.ts';
import { sqliteUsers } from './users.ts';
import { sqliteVolumes } from './volumes.ts';
import { sqliteWebhooks } from './webhooks.ts';

/** How long another process (the CLI creating a key) may hold the write lock before we give up. Milliseconds. */
const busyTimeoutMs = 5000;

/**
 * Opens or creates the records file. WAL with `synchronous = NORMAL`: a crash of the process loses nothing; a crash of
 * the host may lose the last commits, and the runner's list restores those sandboxes. Throws `disk_full`, and
 * `config_invalid` for a file of a newer version or one that is not a records file. If there is a reserve, methods that
 * must not fail for lack of space use it (guard.ts). The pepper of API keys is in `secrets/key-pepper` beside the file.
 */
export function openSqliteRecords(path: string, { reserve }: { readonly reserve?: DiskReserve } = {}): Records {
  const { db, pepper } = reserve === undefined ? openWithPepper(path) : reserve.spendSync(() => openWithPepper(path));
  const log = createEventLog(db);
  const writer = createAuditWriter(db);
  const queue = createAuditQueue(() => openDurable(path));
  const records: Records = {
    teams: sqliteTeams(db, writer),
    apiKeys: sqliteApiKeys(db, writer, pepper),
    sandboxes: sqliteSandboxes(db, log),
    snapshots: sqliteSnapshots(db, log),
    templates: sqliteTemplates(db, writer),
    builds: sqliteBuilds(db),
    buildFiles: sqliteBuildFiles(db),
    events: sqliteEvents(db, log),
    webhooks: sqliteWebhooks(db, writer),
    deliveries: sqliteDeliveries(db, log),
    functions: sqliteFunctions(db),
    kv: sqliteKv(db),
    signingKeys: sqliteSigningKeys(db, writer),
    usedNonces: sqliteUsedNonces(db, writer),
    keyring: sqliteKeyring(db),
    sealing: sqliteSealing(db),
    blobRootKeys: sqliteBlobRootKeys(db),
    identityKeys: sqliteIdentityKeys(db),
    secrets: sqliteSecrets(db, writer),
    audit: sqliteAudit(db, writer, queue),
    connections: sqliteConnections(db),
    quotas: sqliteQuotas(db, writer),
    idempotency: sqliteIdempotency(db),
    users: sqliteUsers(db, writer),
    memberships: sqliteMemberships(db, writer),
    sessions: sqliteSessions(db, writer),
    personalTokens: sqlitePersonalTokens(db, writer),
    sshKeys: sqliteSshKeys(db, writer),
    volumes: sqliteVolumes(db, writer),
    buckets: sqliteBuckets(db, writer),
    [Symbol.asyncDispose]: () => {
      queue[Symbol.dispose]();
      if (db.isOpen) db.close();
      return Promise.resolve();
    },
  };
  return guardRecords(records, path, reserve);
}

/** The database and the pepper of its API keys, which is in a file beside it. */
function openWithPepper(path: string): { readonly db: DatabaseSync; readonly pepper: () => KeyPepper } {
  const db = openDatabase(path);
  try {
    const pepper = pepperOfKeys(db, pepperFileOf(path));
    sealOldKeys(db, pepper);
    return { db, pepper };
  } catch (error) {
    db.close();
    throw errorFromUnknown(errorFromSqlite(error, path));
  }
}

function openDatabase(path: string): DatabaseSync {
  let db: DatabaseSync | undefined;
  try {
    makePrivate(path);
    db = new DatabaseSync(path, { enableForeignKeyConstraints: true, timeout: busyTimeoutMs });
    // What is deleted or replaced is overwritten, so that it does not stay readable in the file.
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA secure_delete = ON;');
    migrate(db);
    return db;
  } catch (error) {
    db?.close();
    const thrown = errorFromSqlite(error, path);
    if (isNodeError(thrown) && thrown.code === 'ERR_SQLITE_ERROR')
      throw new SoulBoxError('config_invalid', `The records file ${path} cannot be opened: ${thrown.message}.`, {
        cause: thrown,
      });
    throw errorFromUnknown(thrown);
  }
}

/** A second connection, whose commits are on the disk when they return: records of the audit log, before an action. */
function openDurable(path: string): DatabaseSync {
  const db = new DatabaseSync(path, { enableForeignKeyConstraints: true, timeout: busyTimeoutMs });
  db.exec('PRAGMA synchronous = FULL;');
  return db;
}

/**
 * Only root may read hashes of keys and values of tenants, whatever the umask is. SQLite gives the files beside it the
 * mode of the file itself; those that were open to others are closed. SQLite itself reports a missing folder.
 */
function makePrivate(path: string): void {
  if (!existsSync(dirname(path))) return;
  closeSync(openSync(path, 'a', 0o600));
  for (const file of [path, `${path}-wal`, `${path}-shm`]) if (existsSync(file)) chmodSync(file, 0o600);
}
