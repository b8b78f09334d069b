import type { Secret } from '@soulbox/base';

/** The secret of a webhook as older versions stored it. */
export interface OldWebhookSecret {
  readonly id: string;
  readonly teamId: string;
  readonly signatureSecret: Secret;
}

/** The values of a function as older versions stored them. */
export interface OldFunctionValues {
  readonly id: string;
  readonly teamId: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Encrypted with a key of their own (`secrets/functions-key`). */
  readonly oldSecrets: Readonly<Record<string, string>>;
}

/** The data key of a subject of the audit log as older versions stored it. */
export interface OldSubjectKey {
  readonly teamId: string;
  /** 24 hexadecimal digits. */
  readonly id: string;
  /** Encrypted with a key of its own (`secrets/audit-wrap-key`). */
  readonly wrapped: Buffer;
}

/**
 * Values that an older version stored readable, or encrypted in another way. Whoever has the keys encrypts them once,
 * before anything else uses the records. Each step can be repeated after a crash.
 */
export interface SealingRecords {
  /** False when no such value is left in the rows or in the files. */
  isPending(): Promise<boolean>;
  listWebhooks(limit: number): Promise<OldWebhookSecret[]>;
  sealWebhook(id: string, sealedSecret: string): Promise<void>;
  listFunctions(limit: number): Promise<OldFunctionValues[]>;
  sealFunction(
    id: string,
    sealed: { readonly sealedEnvironment: string; readonly sealedSecrets: Readonly<Record<string, string>> },
  ): Promise<void>;
  listSubjectKeys(limit: number): Promise<OldSubjectKey[]>;
  sealSubjectKey(teamId: string, id: string, sealedKey: string): Promise<void>;
  /**
   * Removes the old values from the files, which takes time and twice the space of the records. False if rows are left,
   * or if another process reads or writes at the moment; then try again.
   */
  finish(): Promise<boolean>;
  /** Whether an older version may have stored blobs readable. */
  areBlobsPending(): Promise<boolean>;
  /** All blobs are encrypted. */
  finishBlobs(): Promise<void>;
}
