import type { AuditNote } from './audit.ts';

export type VolumeCreation = 'created' | 'name_taken' | 'limit_reached';

/** A volume of a team. The volume service has what is in it. */
export interface VolumeRecord {
  /** `v` and 20 characters of `[a-z0-9]`. */
  readonly id: string;
  readonly teamId: string;
  /** Volumes that were copied from each other share blocks. The id of the first one, or its own. */
  readonly groupId: string;
  /** Unique in the team. */
  readonly name: string;
  /** MiB that its contents may have. Undefined: only the limit of the team. */
  readonly sizeMb: number | undefined;
  /** The id of the volume of which it is a copy. It may be gone. */
  readonly sourceId: string | undefined;
  readonly isReadOnly: boolean;
  readonly createdAt: number;
  /** Of the request that created it, if that may be repeated; otherwise empty. */
  readonly creationId: string;
  /** Whether its contents may ever have been used: `noteUse`, and all copies. Of a volume that was not, nothing is kept. */
  readonly isUsed: boolean;
}

/** Where the contents of a volume are. */
export type VolumeContents = Pick<VolumeRecord, 'id' | 'teamId' | 'groupId'>;

/**
 * A change and its `note` are committed together. Without a change, there is no note. A copy that is being made is not
 * found yet, and a volume that is being deleted is not found any more. Both count.
 */
export interface VolumeRecords {
  /** Of the team, `limit` at most. */
  create(record: VolumeRecord, limit: number, note?: AuditNote): Promise<VolumeCreation>;
  /** The same for a copy whose contents are not there yet. Its name is taken. */
  beginCopy(record: VolumeRecord, limit: number): Promise<VolumeCreation>;
  /** The contents of a copy are complete. False if it was given up meanwhile. */
  finishCopy(id: string, note?: AuditNote): Promise<boolean>;
  /** A copy could not be made: its contents must be removed. */
  giveUpCopy(id: string): Promise<void>;
  /** Copies that were begun, and neither finished nor given up. */
  listCopying(): Promise<VolumeContents[]>;
  /** Call it before the first use of the contents. Safe to repeat. */
  noteUse(id: string): Promise<void>;
  find(teamId: string, id: string): Promise<VolumeRecord | undefined>;
  findByName(teamId: string, name: string): Promise<VolumeRecord | undefined>;
  findByCreation(teamId: string, creationId: string): Promise<VolumeRecord | undefined>;
  /** Oldest first. */
  list(teamId: string): Promise<VolumeRecord[]>;
  /** Of all teams, without those that are being deleted and copies that are being made. */
  listAll(): Promise<(VolumeContents & Pick<VolumeRecord, 'isUsed'>)[]>;
  /** Its name is free again. False if the team has no such volume. */
  beginRemove(teamId: string, id: string, note?: AuditNote): Promise<boolean>;
  /** Volumes whose contents must be removed. */
  listRemoving(): Promise<VolumeContents[]>;
  /** The contents of a volume that is being deleted are gone. */
  finishRemove(id: string): Promise<void>;
}
