import type { DiskReserve } from '../../reserve/disk-reserve.ts';
import type { Records } from '../records.ts';
import { errorFromSqlite } from './errors.ts';

type Parts = Omit<Records, typeof Symbol.asyncDispose>;

/**
 * The methods that may use the reserve when the disk is full: ending, deleting, and recording what has already
 * happened. Each is one transaction, so that it can be run again after a failure.
 */
const urgent: { readonly [K in keyof Parts]: readonly (keyof Parts[K])[] } = {
  teams: ['remove'],
  apiKeys: ['remove'],
  sandboxes: ['completeCreation', 'abandonCreation', 'clearCreations', 'put', 'takeBack', 'end', 'purgeEnded'],
  snapshots: ['complete', 'adopt', 'beginDelete', 'abandonDelete', 'remove'],
  templates: ['remove', 'removeTags'],
  builds: ['complete', 'fail', 'failUnderway', 'lose', 'giveUp', 'purge'],
  buildFiles: ['complete', 'abandon', 'clearReserved', 'remove'],
  events: ['addCheckpoint', 'purge', 'purgeBeyond'],
  webhooks: ['remove'],
  deliveries: ['finish', 'postpone'],
  functions: ['setSandbox', 'remove', 'pruneVersions'],
  kv: ['removeNamespace', 'remove', 'removeExpired'],
  signingKeys: ['end', 'purge'],
  usedNonces: ['purge'],
  connections: ['purge'],
  keyring: [],
  sealing: ['finishBlobs'],
  blobRootKeys: ['add'],
  secrets: ['remove'],
  identityKeys: ['purge'],
  audit: ['appendUrgent', 'settle', 'align', 'release', 'eraseSubjectKey', 'removeHold'],
  quotas: ['purgeDays'],
  idempotency: ['finish', 'abandon', 'purge'],
  users: ['remove'],
  memberships: ['remove'],
  sessions: ['remove', 'endOfUser', 'purge'],
  personalTokens: ['remove', 'purge'],
  sshKeys: ['remove'],
  volumes: ['giveUpCopy', 'beginRemove', 'finishRemove'],
  buckets: ['remove'],
};

/** The records with every SQLite error translated, and with the reserve for the methods that must not fail. */
export function guardRecords(records: Records, path: string, reserve: DiskReserve | undefined): Records {
  const parts = Object.entries(urgent).map(([name, methods]) => {
    const part = records[name as keyof Parts] as unknown as Record<string, AsyncMethod>;
    const guarded = Object.entries(part).map(([method, call]) => [
      method,
      guard(call, path, (methods as readonly string[]).includes(method) ? reserve : undefined),
    ]);
    return [name, Object.fromEntries(guarded) as unknown] as const;
  });
  return { ...(Object.fromEntries(parts) as Parts), [Symbol.asyncDispose]: () => records[Symbol.asyncDispose]() };
}

type AsyncMethod = (...args: unknown[]) => unknown;

function guard(call: AsyncMethod, path: string, reserve: DiskReserve | undefined): AsyncMethod {
  const translated: AsyncMethod = (...args) => {
    const answer = call(...args);
    if (!(answer instanceof Promise)) return answer;
    return answer.catch((thrown: unknown) => {
      throw errorFromSqlite(thrown, path);
    });
  };
  if (reserve === undefined) return translated;
  return (...args) => reserve.spend(() => translated(...args));
}
