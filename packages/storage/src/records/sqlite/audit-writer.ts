import { randomUUID } from 'node:crypto';
import type { DatabaseSync, StatementResultingChanges } from 'node:sqlite';
import { auditLogFull } from '../audit.ts';
import type { AuditNote } from '../audit.ts';
import { inTransaction } from './transaction.ts';

/** Numbers records of the audit log and stores them. Must be called inside a transaction, which orders the numbers. */
export interface AuditWriter {
  /** Throws `audit_log_full` if the records of the team would exceed `maxBytes`; nothing is written then. */
  write(note: AuditNote, maxBytes?: number): void;
  /**
   * For several records of one transaction. `end` must be called before the commit. Throws nothing that `write` does
   * not.
   */
  begin(): AuditBatch;
}

export interface AuditBatch {
  write(note: AuditNote, maxBytes: number): void;
  end(): void;
}

interface Head {
  writer: string;
  writerSeq: number;
  seq: number;
  bytes: number;
}

export function createAuditWriter(db: DatabaseSync): AuditWriter {
  const find = db.prepare('SELECT * FROM audit_heads WHERE team_id = ?');
  const make = db.prepare(`INSERT INTO audit_heads VALUES (?, '', ?, 0, 0, 0)`);
  const insert = db.prepare('INSERT INTO audit_waiting VALUES (?, ?, ?, ?, ?)');
  const advance = db.prepare('UPDATE audit_heads SET next_seq = ?, next_writer_seq = ?, bytes = ? WHERE team_id = ?');
  const readHead = (teamId: string): Head => {
    const row = find.get(teamId);
    if (row === undefined) {
      const writer = randomUUID();
      make.run(teamId, writer);
      return { writer, writerSeq: 0, seq: 0, bytes: 0 };
    }
    const [seq, writerSeq, bytes] = [row['next_seq'], row['next_writer_seq'], row['bytes']].map(Number);
    return { writer: String(row['writer']), writerSeq: writerSeq ?? 0, seq: seq ?? 0, bytes: bytes ?? 0 };
  };
  const begin = (): AuditBatch => {
    const heads = new Map<string, Head>();
    return {
      write({ teamId, compose }, maxBytes) {
        const head = heads.get(teamId) ?? readHead(teamId);
        heads.set(teamId, head);
        const { seq, writer, writerSeq } = head;
        const text = compose({ seq, writer, writerSeq });
        const bytes = head.bytes + Buffer.byteLength(text);
        if (bytes > maxBytes) throw auditLogFull();
        insert.run(teamId, seq, writer, writerSeq, text);
        Object.assign(head, { seq: seq + 1, writerSeq: writerSeq + 1, bytes });
      },
      end() {
        for (const [teamId, { seq, writerSeq, bytes }] of heads) advance.run(seq, writerSeq, bytes, teamId);
      },
    };
  };
  return {
    begin,
    write(note, maxBytes = Infinity) {
      const batch = begin();
      batch.write(note, maxBytes);
      batch.end();
    },
  };
}

/** Changes one row, in one transaction with the record of it. False, and no record, if no row was changed. */
export function changeWithNote(
  db: DatabaseSync,
  writer: AuditWriter,
  note: AuditNote | undefined,
  change: () => StatementResultingChanges,
): boolean {
  if (note === undefined) return change().changes === 1;
  return inTransaction(db, () => {
    const isChanged = change().changes === 1;
    if (isChanged) writer.write(note);
    return isChanged;
  });
}
