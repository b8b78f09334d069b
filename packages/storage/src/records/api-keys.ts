import type { Secret } from '@soulbox/base';
import type { Role, Scope } from '@soulbox/contract';
import type { AuditNote } from './audit.ts';

/** The parts of a key that may be shown after its creation (E2B's `IdentifierMaskingDetails`). */
export interface ApiKeyMask {
  /** `e2b_`. */
  readonly prefix: string;
  /** Number of characters after the prefix. */
  readonly valueLength: number;
  readonly maskedValuePrefix: string;
  readonly maskedValueSuffix: string;
}

/** A key without its value, of which only an HMAC is stored, and that is not part of the record. */
export interface ApiKeyRecord {
  /** A UUID. */
  readonly id: string;
  readonly teamId: string;
  readonly name: string;
  readonly mask: ApiKeyMask;
  readonly createdAt: number;
  /** The isolation of sandboxes and builds that do not specify one; empty: the key decides nothing. */
  readonly isolation: string;
  /** What the key may do. Without any, it is accepted but may do nothing. */
  readonly scopes: readonly Scope[];
  /** The role that the key was created with, for display. Undefined: its scopes were given one by one. */
  readonly role: Role | undefined;
  /** The references of templates to which the key is restricted. Empty: it is not restricted. */
  readonly templates: readonly string[];
  /** From this time on, the key is not valid. Undefined: it does not expire. */
  readonly expiresAt: number | undefined;
  /** Accurate to a minute; undefined if the key was never used. */
  readonly lastUsedAt: number | undefined;
}

/** With a note, a change and its record in the audit log are committed together; without the change, neither is. */
export interface ApiKeyRecords {
  /**
   * `value` is the whole key. Throws `name_taken` if the id or the value exists, and `config_invalid` if the pepper is
   * missing.
   */
  create(key: ApiKeyRecord, value: Secret, note?: AuditNote): Promise<void>;
  /**
   * The record of a key that a caller presents, which may be any text. It may have expired. Throws `config_invalid` if
   * the pepper is missing.
   */
  findByValue(presented: string): Promise<ApiKeyRecord | undefined>;
  find(teamId: string, id: string): Promise<ApiKeyRecord | undefined>;
  /** Oldest first. */
  list(teamId: string): Promise<ApiKeyRecord[]>;
  /** False if the team has no such key. */
  rename(teamId: string, id: string, name: string, note?: AuditNote): Promise<boolean>;
  /** False if the team has no such key. */
  remove(teamId: string, id: string, note?: AuditNote): Promise<boolean>;
  /** Records a use; a time before the recorded one changes nothing. */
  touch(id: string, usedAt: number): Promise<void>;
}
