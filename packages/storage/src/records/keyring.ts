/** A key that encrypts data keys. The key itself is elsewhere: in a file or in a module. */
export interface MasterKeyRecord {
  /** Names the source and the key, such as `file:0f3c...`. */
  readonly id: string;
  /**
   * `current`: wraps new data keys. `retiring`: a rotation away from it has begun. `retired`: nothing is wrapped with
   * it any more.
   */
  readonly state: 'current' | 'retiring' | 'retired';
  readonly createdAt: number;
}

/** A key that encrypts values, wrapped by a master key. */
export interface DataKeyRecord {
  /** 32 hexadecimal digits. */
  readonly id: string;
  readonly masterKeyId: string;
  /** Base64url. */
  readonly wrapped: string;
  /** The number of values that writers have reserved. It is at least the number of values that it has encrypted. */
  readonly claimed: number;
  readonly createdAt: number;
}

/** A data key whose wrapping a rotation replaces. */
export interface Rewrapped {
  readonly id: string;
  /** The wrapping that was read. */
  readonly before: string;
  readonly wrapped: string;
}

export interface KeyringRecords {
  /** Oldest first. */
  listMasterKeys(): Promise<MasterKeyRecord[]>;
  /**
   * Makes a new master key the current one in place of `before`, which becomes `retiring`. With `before` undefined, it
   * becomes the first one. False if another key is current meanwhile.
   */
  switchMasterKey(id: string, before: string | undefined, now: number): Promise<boolean>;
  /** Marks all but the current master key as retired. False if one of them still wraps a data key. */
  retireMasterKeys(): Promise<boolean>;
  /** False if its master key is not the current one: a rotation has begun meanwhile. */
  addDataKey(record: DataKeyRecord): Promise<boolean>;
  findDataKey(id: string): Promise<DataKeyRecord | undefined>;
  /** Any data key of this master key. */
  findDataKeyOf(masterKeyId: string): Promise<DataKeyRecord | undefined>;
  /** Reserves `count` values of the newest data key, if it then has at most `max`. */
  claimDataKey(count: number, max: number): Promise<string | undefined>;
  /** The number of data keys that another master key than the current one wraps. */
  countNotCurrent(): Promise<number>;
  /** Some of those data keys. */
  listNotCurrent(limit: number): Promise<DataKeyRecord[]>;
  /** Replaces wrappings in one step, if they are unchanged and `masterKeyId` is current. Returns how many. */
  rewrap(masterKeyId: string, changes: readonly Rewrapped[]): Promise<number>;
  /** Removes deleted and replaced values from the files. False if another process hinders it at the moment. */
  eraseReplaced(): Promise<boolean>;
}
