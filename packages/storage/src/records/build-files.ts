/** An archive that a team uploaded for the COPY steps of its builds. */
export interface BuildFileRecord {
  readonly teamId: string;
  /** 64 hex digits; the client's own digest of the files, opaque to us. */
  readonly hash: string;
  readonly sizeBytes: number;
  /** When a build asked for it last, or when it was uploaded. */
  readonly usedAt: number;
}

export interface BuildFileRecords {
  /**
   * Reserves the bytes of an upload, unless the team's files and reservations would then take more than `limitBytes`; then
   * gives false. Sum and write are one step. The bytes of a file that is uploaded again count once it is complete, not twice.
   */
  reserve(
    upload: { id: string; teamId: string; hash: string; sizeBytes: number },
    limitBytes: number,
  ): Promise<boolean>;
  /** The reserved bytes have arrived. */
  complete(uploadId: string, now: number): Promise<void>;
  abandon(uploadId: string): Promise<void>;
  /** Removes what the uploads of a process that was killed had reserved. Gives their number. */
  clearReserved(): Promise<number>;
  /** The team's file, which counts as used now. */
  use(teamId: string, hash: string, now: number): Promise<BuildFileRecord | undefined>;
  /** Those of all teams that nobody has used since `before`. */
  listUnused(before: number, limit: number): Promise<BuildFileRecord[]>;
  /** Removes it unless it was used since `before`; then gives false. */
  remove(teamId: string, hash: string, before: number): Promise<boolean>;
}
