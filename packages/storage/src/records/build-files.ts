/** An archive that a team uploaded for the COPY steps of its builds. */
export interface BuildFileRecord {
  readonly teamId: string;
  /** 64 hex digits; the client's own digest of the files, opaque to us. */
  readonly hash: string;
  readonly sizeBytes: number;
  /** The last time a build used it, or the time of its upload. */
  readonly usedAt: number;
}

export interface BuildFileRecords {
  /**
   * Reserves the bytes of an upload. Returns false if the team's files and reservations would then exceed `limitBytes`.
   * Sum and write are one step. If a file is uploaded again, its bytes count only once, when it is complete.
   */
  reserve(
    upload: { id: string; teamId: string; hash: string; sizeBytes: number },
    limitBytes: number,
  ): Promise<boolean>;
  /** The reserved bytes have arrived. */
  complete(uploadId: string, now: number): Promise<void>;
  abandon(uploadId: string): Promise<void>;
  /** Removes the reservations for uploads of a process that was killed. Returns their number. */
  clearReserved(): Promise<number>;
  /** Returns the team's file and marks it as used now. */
  use(teamId: string, hash: string, now: number): Promise<BuildFileRecord | undefined>;
  /** Files of all teams that have not been used since `before`. */
  listUnused(before: number, limit: number): Promise<BuildFileRecord[]>;
  /** Removes it; returns false if it was used since `before`. */
  remove(teamId: string, hash: string, before: number): Promise<boolean>;
}
