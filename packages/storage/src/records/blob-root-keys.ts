/** The key from which those of encrypted blobs are derived. */
export interface BlobRootKeyRecord {
  /** 32 hexadecimal digits, random. */
  readonly id: string;
  /** Encrypted by the writer. */
  readonly sealedKey: string;
  readonly createdAt: number;
}

export interface BlobRootKeyRecords {
  /** There is at most one. */
  find(): Promise<BlobRootKeyRecord | undefined>;
  /** Does nothing if there is one. */
  add(key: BlobRootKeyRecord): Promise<void>;
}
