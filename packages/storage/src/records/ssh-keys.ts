import type { AuditNote } from './audit.ts';

/** A public key with which somebody signs in by SSH: of a team, or of a person. */
export interface SshKeyRecord {
  /** `k` and 19 characters of `[a-z0-9]`. */
  readonly id: string;
  readonly owner: SshKeyOwner;
  readonly name: string;
  /** Such as `ssh-ed25519`. */
  readonly algorithm: string;
  /** In the encoding of SSH, as base64. */
  readonly publicKey: string;
  /** `SHA256:` and 43 characters, as OpenSSH shows it. */
  readonly fingerprint: string;
  /** References of the templates to whose sandboxes it is restricted. Empty: it is not restricted. */
  readonly templates: readonly string[];
  readonly createdAt: number;
  /** Undefined: never. */
  readonly expiresAt: number | undefined;
  /** Accurate to a minute; undefined if it was never used. */
  readonly lastUsedAt: number | undefined;
}

export type SshKeyOwner =
  | { readonly kind: 'team'; readonly teamId: string }
  | { readonly kind: 'person'; readonly userId: string };

/** A change and its `notes` are committed together. Without a change, there are none. */
export interface SshKeyRecords {
  /** Writes nothing if the owner has this public key already, or `limit` keys. */
  add(key: SshKeyRecord, limit: number, notes?: readonly AuditNote[]): Promise<'added' | 'present' | 'limit_reached'>;
  /** Oldest first. */
  list(owner: SshKeyOwner): Promise<SshKeyRecord[]>;
  /** The key with this fingerprint that the team has, and those that its members have: `limit` at most. */
  findFor(teamId: string, fingerprint: string, limit: number): Promise<SshKeyRecord[]>;
  find(id: string): Promise<SshKeyRecord | undefined>;
  /** A time before the recorded one changes nothing. */
  touch(id: string, usedAt: number): Promise<void>;
  /** False if the owner has no such key. */
  remove(owner: SshKeyOwner, id: string, notes?: readonly AuditNote[]): Promise<boolean>;
}
