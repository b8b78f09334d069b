/** A key of the server that signs workload identities. */
export interface IdentityKeyRecord {
  /** The thumbprint of the public key (RFC 7638). */
  readonly id: string;
  readonly createdAt: number;
  /** It is published before it signs, so that who checks tokens has it in time. */
  readonly signsFrom: number;
  /** From this time on it is no longer published. Undefined for the newest key. */
  readonly endsAt: number | undefined;
  /** JSON Web Key. */
  readonly publicJwk: string;
  /** PKCS #8 in PEM, encrypted by the writer. */
  readonly sealedPrivateKey: string;
}

export interface IdentityKeyRecords {
  /** Newest first. */
  list(): Promise<IdentityKeyRecord[]>;
  /**
   * Adds a key if `newest` is still the newest one (undefined: there is none), which then ends at `newestEndsAt`. False
   * if another process was faster.
   */
  add(key: IdentityKeyRecord, newest: string | undefined, newestEndsAt: number): Promise<boolean>;
  /** Removes keys that ended before, `limit` at most. Returns their number. */
  purge(before: number, limit: number): Promise<number>;
}
