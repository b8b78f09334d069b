import type { AuditNote } from './audit.ts';

/** A volume of a team. The volume service has what is in it. */
export interface VolumeRecord {
  /** `v` and 20 characters of `[a-z0-9]`. */
  readonly id: string;
  readonly teamId: string;
  /** Unique in the team. */
  readonly name: string;
  /** MiB that its contents may have. Undefined: only the limit of the team. */
  readonly sizeMb: number | undefined;
  readonly createdAt: number;
  /** Of the request that created it, if that may be repeated; otherwise empty. */
  readonly creationId: string;
}

/**
 * A change and its `note` are committed together. Without a change, there is no note. A volume that is being deleted is
 * not found any more, but counts until its contents are gone.
 */
export interface VolumeRecords {
  /** Of the team, `limit` at most. */
  create(record: VolumeRecord, limit: number, note?: AuditNote): Promise<'created' | 'name_taken' | 'limit_reached'>;
  find(teamId: string, id: string): Promise<VolumeRecord | undefined>;
  findByName(teamId: string, name: string): Promise<VolumeRecord | undefined>;
  findByCreation(teamId: string, creationId: string): Promise<VolumeRecord | undefined>;
  /** Oldest first. */
  list(teamId: string): Promise<VolumeRecord[]>;
  /** Its name is free again. False if the team has no such volume. */
  beginRemove(teamId: string, id: string, note?: AuditNote): Promise<boolean>;
  /** Volumes whose contents must be removed. */
  listRemoving(): Promise<Pick<VolumeRecord, 'id' | 'teamId'>[]>;
  /** The contents of a volume that is being deleted are gone. */
  finishRemove(id: string): Promise<void>;
}
