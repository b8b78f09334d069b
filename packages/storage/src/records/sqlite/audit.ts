import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import type { AuditHead, AuditHold, AuditRecords, AuditRow, AuditSubjectKey } from '../audit.ts';
import type { AuditQueue } from './audit-queue.ts';
import type { AuditWriter } from './audit-writer.ts';
import { emptyWriteAheadLog } from './erase.ts';
import { inTransaction } from './transaction.ts';

type Row = Record<string, SQLOutputValue>;

const headFromRow = (row: Row): AuditHead => ({
  teamId: String(row['team_id']),
  origin: String(row['origin']),
  next: Number(row['next_seq']),
  bytes: Number(row['bytes']),
});

const waitingFromRow = (row: Row): AuditRow => ({
  seq: Number(row['seq']),
  writer: String(row['writer']),
  writerSeq: Number(row['writer_seq']),
  text: String(row['text']),
});

const keyFromRow = (row: Row | undefined): AuditSubjectKey | undefined =>
  row === undefined
    ? undefined
    : {
        id: String(row['key_id']),
        sealed: String(row['sealed_key']),
      };

const holdFromRow = (row: Row): AuditHold => ({
  id: String(row['id']),
  teamId: String(row['team_id']),
  reason: String(row['reason']),
  until: Number(row['until']),
});

/* oxlint-disable typescript/require-await -- node:sqlite is synchronous, the interface is not */
export function sqliteAudit(db: DatabaseSync, writer: AuditWriter, queue: AuditQueue): AuditRecords {
  return {
    append: async (note, maxBytes) => await queue.add(note, maxBytes),
    appendUrgent: async (note, maxBytes) => await queue.add(note, maxBytes),
    ...waitingRows(db),
    ...subjectKeys(db, writer),
    ...holds(db, writer),
  };
}

function waitingRows(
  db: DatabaseSync,
): Pick<AuditRecords, 'findHead' | 'listHeads' | 'listWaiting' | 'settle' | 'align' | 'release'> {
  const head = db.prepare('SELECT * FROM audit_heads WHERE team_id = ?');
  const heads = db.prepare('SELECT * FROM audit_heads ORDER BY team_id');
  const next = db.prepare('SELECT * FROM audit_waiting WHERE team_id = ? AND seq >= ? ORDER BY seq LIMIT ?');
  const settle = db.prepare('DELETE FROM audit_waiting WHERE team_id = ? AND seq < ?');
  const drop = db.prepare('DELETE FROM audit_waiting WHERE team_id = ?');
  const insert = db.prepare('INSERT INTO audit_waiting VALUES (?, ?, ?, ?, ?)');
  const restart = db.prepare(
    `INSERT INTO audit_heads (origin, writer, next_writer_seq, next_seq, bytes, team_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
     ON CONFLICT (team_id) DO UPDATE SET writer = ?2, next_writer_seq = ?3, next_seq = ?4,
       bytes = iif(origin = ?1, bytes, ?5), origin = ?1`,
  );
  const release = db.prepare('UPDATE audit_heads SET bytes = max(0, bytes - ?) WHERE team_id = ?');
  return {
    findHead: async (teamId) => {
      const row = head.get(teamId);
      return row === undefined ? undefined : headFromRow(row);
    },
    listHeads: async () => heads.all().map(headFromRow),
    listWaiting: async (teamId, from, limit) => next.all(teamId, from, limit).map(waitingFromRow),
    settle: async (teamId, size) => void settle.run(teamId, size),
    align: async (teamId, { origin, size, keep, writer, move }) =>
      inTransaction(db, () => {
        drop.run(teamId);
        let bytes = 0;
        for (const [writerSeq, { text }] of keep.entries()) {
          const seq = size + writerSeq;
          const moved = move(text, { seq, writer, writerSeq });
          bytes += Buffer.byteLength(moved);
          insert.run(teamId, seq, writer, writerSeq, moved);
        }
        restart.run(origin, writer, keep.length, size + keep.length, bytes, teamId);
      }),
    release: async (teamId, bytes) => void release.run(bytes, teamId),
  };
}

function subjectKeys(
  db: DatabaseSync,
  writer: AuditWriter,
): Pick<AuditRecords, 'findSubjectKey' | 'findSubjectKeyById' | 'addSubjectKey' | 'eraseSubjectKey'> {
  const bySubject = db.prepare('SELECT * FROM audit_subjects WHERE team_id = ? AND subject = ?');
  const byId = db.prepare('SELECT * FROM audit_subjects WHERE team_id = ? AND key_id = ?');
  const insert = db.prepare(
    'INSERT OR IGNORE INTO audit_subjects (team_id, subject, key_id, sealed_key) VALUES (?, ?, ?, ?)',
  );
  const remove = db.prepare('DELETE FROM audit_subjects WHERE team_id = ? AND key_id = ?');
  return {
    findSubjectKey: async (teamId, subject) => keyFromRow(bySubject.get(teamId, subject)),
    findSubjectKeyById: async (teamId, id) => keyFromRow(byId.get(teamId, id)),
    addSubjectKey: async (teamId, subject, key) => {
      insert.run(teamId, subject, key.id, key.sealed);
      return keyFromRow(bySubject.get(teamId, subject)) ?? key;
    },
    eraseSubjectKey: async (teamId, keyId, note) => {
      const isErased = inTransaction(db, () => {
        const { changes } = remove.run(teamId, keyId);
        if (changes === 1 && note !== undefined) writer.write(note);
        return changes === 1;
      });
      // The log beside the file still has earlier pages with the key.
      if (isErased) emptyWriteAheadLog(db);
      return isErased;
    },
  };
}

function holds(db: DatabaseSync, writer: AuditWriter): Pick<AuditRecords, 'addHold' | 'listHolds' | 'removeHold'> {
  const insert = db.prepare('INSERT INTO audit_holds VALUES (?, ?, ?, ?)');
  const list = db.prepare('SELECT * FROM audit_holds WHERE team_id = ? ORDER BY until, id');
  const remove = db.prepare('DELETE FROM audit_holds WHERE team_id = ? AND id = ?');
  return {
    addHold: async ({ id, teamId, reason, until }, note) =>
      inTransaction(db, () => {
        insert.run(id, teamId, reason, until);
        writer.write(note);
      }),
    listHolds: async (teamId) => list.all(teamId).map(holdFromRow),
    removeHold: async (teamId, id, note) =>
      inTransaction(db, () => {
        const { changes } = remove.run(teamId, id);
        if (changes === 1) writer.write(note);
        return changes === 1;
      }),
  };
}
