import { SoulBoxError } from '@soulbox/base';

/** The numbers that a record of the audit log gets when it is committed. */
export interface AuditPlace {
  /** Its index in the log of its team. */
  readonly seq: number;
  /** Names one life of these records: after they were set back, it is another. */
  readonly writer: string;
  /** Counts the writer's records of the team from 0. */
  readonly writerSeq: number;
}

/** A record for the log of a team, to be committed together with a change, or alone. */
export interface AuditNote {
  readonly teamId: string;
  /** The text that is stored. Called once for each attempt to commit. */
  readonly compose: (place: AuditPlace) => string;
}

/** A committed record that the log does not have yet. */
export interface AuditRow extends AuditPlace {
  readonly text: string;
}

/** The state of a team's log in the records. */
export interface AuditHead {
  readonly teamId: string;
  /** The log in the log's folder that these numbers are for; empty until there is one. */
  readonly origin: string;
  /** The next `seq`. */
  readonly next: number;
  /** Bytes of all records that were not pruned. */
  readonly bytes: number;
}

/** What `align` does: see there. */
export interface AuditAlignment {
  readonly origin: string;
  /** Records in the log. */
  readonly size: number;
  /** The waiting rows that the log does not have. They get new numbers from `size` on, and a new writer. */
  readonly keep: readonly AuditRow[];
  readonly writer: string;
  /** The text of a row at another place. */
  readonly move: (text: string, place: AuditPlace) => string;
}

/** The data key of a subject. */
export interface AuditSubjectKey {
  /** 24 hexadecimal digits; in clear in each record. */
  readonly id: string;
  /** Encrypted by the writer. */
  readonly sealed: string;
}

/** While it lasts, nothing of the team's log is pruned and no subject is erased. */
export interface AuditHold {
  readonly id: string;
  readonly teamId: string;
  /** A word, such as a case number. */
  readonly reason: string;
  readonly until: number;
}

/**
 * The part of the audit logs that is committed with the records: records that wait for their log, and keys of subjects.
 * It outlives the team.
 */
export interface AuditRecords {
  /**
   * Commits a record so that it survives a crash of the host, in one step with others that come at the same moment.
   * Throws `audit_log_full` if the records of the team would exceed `maxBytes`, and `disk_full`.
   */
  append(note: AuditNote, maxBytes: number): Promise<void>;
  /** The same, for records of what cannot be refused: it also uses the reserve of the disk. */
  appendUrgent(note: AuditNote, maxBytes: number): Promise<void>;
  /** Undefined if the team has no record. */
  findHead(teamId: string): Promise<AuditHead | undefined>;
  listHeads(): Promise<AuditHead[]>;
  /** Waiting rows from `from` on, in order. */
  listWaiting(teamId: string, from: number, limit: number): Promise<AuditRow[]>;
  /** The log has the rows below `size`. */
  settle(teamId: string, size: number): Promise<void>;
  /**
   * Makes the numbers continue a log that does not match them: these records were set back, or the log is a new one.
   */
  align(teamId: string, alignment: AuditAlignment): Promise<void>;
  /** Records were pruned. */
  release(teamId: string, bytes: number): Promise<void>;

  findSubjectKey(teamId: string, subject: string): Promise<AuditSubjectKey | undefined>;
  findSubjectKeyById(teamId: string, id: string): Promise<AuditSubjectKey | undefined>;
  /** Returns the key that the subject has now, which is another one if somebody was faster. */
  addSubjectKey(teamId: string, subject: string, key: AuditSubjectKey): Promise<AuditSubjectKey>;
  /**
   * Destroys the key of a subject and overwrites its bytes in the file, in one transaction with the record of it. False
   * if the subject has none; then nothing is recorded.
   */
  eraseSubjectKey(teamId: string, keyId: string, note: AuditNote | undefined): Promise<boolean>;

  addHold(hold: AuditHold, note: AuditNote): Promise<void>;
  listHolds(teamId: string): Promise<AuditHold[]>;
  /** False if there is no such hold. */
  removeHold(teamId: string, id: string, note: AuditNote): Promise<boolean>;
}

/** The error for an action that the log of its team has no room to record. */
export function auditLogFull(): SoulBoxError {
  return new SoulBoxError(
    'audit_log_full',
    'The audit log of the team is full, and nothing was changed. Kills, pauses and reading still work. The operator can export and prune the log, or raise SOULBOX_AUDIT_LOG_MB.',
  );
}
