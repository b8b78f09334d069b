import { createHash, createPublicKey, randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createSequencer, hashLeaf, moveLeaf, openLog, openLogFiles } from '@soulbox/audit';
import type { Log, PendingRecords, Sequencer } from '@soulbox/audit';
import { randomId, SoulBoxError } from '@soulbox/base';
import type { Secret } from '@soulbox/base';
import type { AuditHead, Records } from '@soulbox/storage';

export interface TeamLog {
  readonly log: Log;
  readonly sequencer: Sequencer;
  /**
   * What was found when it was opened, if the records did not match the log. `rolled-back`: the log has records that
   * the database has lost. `started`: the database continues a log that is not here.
   */
  readonly found: { readonly what: 'rolled-back' | 'started'; readonly before: AuditHead } | undefined;
}

/** The logs of all teams, each in its own folder. */
export interface TeamLogs {
  /** Opens it at the first call. Throws `state_damaged` for a log that nothing may be signed for. */
  open(teamId: string): Promise<TeamLog>;
  readonly verifierKeyHash: string;
}

/** Ids of teams are file names here. */
const teamForm = /^[A-Za-z0-9_-]{1,64}$/;
/** More than one checkpoint can have added, so that all rows that the log may already have are compared. */
const waitingMax = 50_000;

export interface TeamLogsOptions {
  readonly directory: string;
  /** Ed25519, in PEM. */
  readonly signingKey: Secret;
  readonly records: Records;
}

export function createTeamLogs({ directory, signingKey, records }: TeamLogsOptions): TeamLogs {
  const opened = new Map<string, Promise<TeamLog>>();
  const privateKey = signingKey.reveal();
  const publicKey = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  const verifierKeyHash = createHash('sha256').update(publicKey).digest('hex').slice(0, 16);
  const open = async (teamId: string): Promise<TeamLog> => {
    if (!teamForm.test(teamId)) throw new SoulBoxError('internal', `The team id "${teamId}" cannot name a folder.`);
    await mkdir(join(directory, teamId), { recursive: true, mode: 0o700 });
    const log = await openLog({
      files: openLogFiles(join(directory, teamId)),
      privateKey,
      // The last part differs for each new log: a log that is lost and begun again is not a fork of the old one.
      newOrigin: `soulbox.local/audit/${verifierKeyHash}/${teamId}/${randomId(8)}`,
    });
    const found = await alignRecords(log, teamId, records);
    return { log, sequencer: await createSequencer(log, waitingOf(teamId, records)), found };
  };
  return {
    verifierKeyHash,
    async open(teamId) {
      const log = opened.get(teamId) ?? open(teamId);
      opened.set(teamId, log);
      try {
        return await log;
      } catch (error) {
        opened.delete(teamId);
        throw error;
      }
    },
  };
}

function waitingOf(teamId: string, { audit }: Records): PendingRecords {
  return {
    next: async (from, limit) =>
      (await audit.listWaiting(teamId, from, limit)).map(({ text, ...place }) => ({ ...place, leaf: text })),
    settle: async (size) => await audit.settle(teamId, size),
  };
}

/**
 * Makes the numbers of the database continue the log. They differ after an older database was put back, and after a
 * backup was restored, which has no logs. Records that wait and that the log does not have are kept, with new numbers.
 */
async function alignRecords(log: Log, teamId: string, { audit }: Records): Promise<TeamLog['found']> {
  const head = await audit.findHead(teamId);
  const { size } = log.checkpoint;
  const waiting = await audit.listWaiting(teamId, 0, waitingMax);
  const isOwn = head?.origin === log.origin;
  const keep = [];
  let hasForeign = false;
  for (const row of waiting) {
    const isPast = isOwn && row.seq < size;
    const isKnown = isPast && (await log.readLeafHash(row.seq)).equals(hashLeaf(Buffer.from(row.text)));
    if (!isKnown) keep.push(row);
    hasForeign ||= isPast && !isKnown;
  }
  if (isOwn && head.next >= size && !hasForeign) return undefined;
  await audit.align(teamId, { origin: log.origin, size, keep, writer: randomUUID(), move: moveLeaf });
  if (head === undefined || head.origin === '') return undefined;
  return { what: isOwn ? 'rolled-back' : 'started', before: head };
}
