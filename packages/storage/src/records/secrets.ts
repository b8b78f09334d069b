import type { AuditNote } from './audit.ts';

/** A secret of a team, without its values. */
export interface SecretRecord {
  /** 20 characters of `[a-z0-9]`. */
  readonly id: string;
  readonly teamId: string;
  /** Unique in the team. */
  readonly name: string;
  /** From 1 on. */
  readonly currentVersion: number;
  readonly metadata: Readonly<Record<string, string>>;
  /** Host names and `*.domain` to which the egress process may send it, of all versions. Empty: none are named. */
  readonly hosts: readonly string[];
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface SecretPosition {
  readonly createdAt: number;
  readonly id: string;
}

export interface SecretListQuery {
  readonly teamId: string;
  /** Position of the last secret on the previous page. */
  readonly after: SecretPosition | undefined;
  readonly limit: number;
}

export interface SecretPage {
  /** Newest first. */
  readonly secrets: SecretRecord[];
  /** Undefined on the last page. */
  readonly next: SecretPosition | undefined;
}

export interface NewSecretVersion {
  readonly teamId: string;
  readonly id: string;
  /** One more than the current one; otherwise nothing is written. */
  readonly number: number;
  /** Encrypted by the writer. */
  readonly sealedValue: string;
  /** Undefined: it stays as it is. */
  readonly metadata: Readonly<Record<string, string>> | undefined;
  readonly now: number;
  /** Older versions than this number of the newest are removed. */
  readonly keep: number;
}

export interface NewSecretHosts {
  readonly teamId: string;
  readonly id: string;
  readonly hosts: readonly string[];
  readonly now: number;
}

/** A change and its `note` are committed together. Without a change, there is no note. */
export interface SecretRecords {
  /** Writes a secret and its first version in one step. */
  create(
    record: SecretRecord,
    sealedValue: string,
    limit: number,
    note?: AuditNote,
  ): Promise<'created' | 'name_taken' | 'limit_reached'>;
  findById(teamId: string, id: string): Promise<SecretRecord | undefined>;
  findByName(teamId: string, name: string): Promise<SecretRecord | undefined>;
  list(query: SecretListQuery): Promise<SecretPage>;
  /** Returns the secret after the change. Undefined if there is no such secret, or if its version is another one. */
  addVersion(version: NewSecretVersion, note?: AuditNote): Promise<SecretRecord | undefined>;
  /** Replaces the hosts. Returns the secret after the change; undefined if the team has no such secret. */
  setHosts(change: NewSecretHosts, note?: AuditNote): Promise<SecretRecord | undefined>;
  /** The encrypted value of a version that is kept. */
  findSealedValue(id: string, number: number): Promise<string | undefined>;
  /** Also removes its versions. False if the team has no such secret. */
  remove(teamId: string, id: string, note?: AuditNote): Promise<boolean>;
}
