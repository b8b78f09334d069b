/**
 * A key that encrypts other keys and never values. `id` names the source and the key, such as `file:0f3c9a...` or
 * `pkcs11:soulbox-6d1e...`. `context` binds a wrapped key to what it is for; the same one must be given to unwrap it.
 * Disposing overwrites the key if it is in our memory.
 */
export interface MasterKey extends Disposable {
  readonly id: string;
  /** `key` has at most 1024 bytes. */
  wrap(key: Uint8Array, context: string): Promise<Buffer>;
  /** The caller overwrites the result after use. Throws `state_damaged` if this key did not wrap these bytes for this context. */
  unwrap(wrapped: Uint8Array, context: string): Promise<Buffer>;
}

/** A place where master keys are kept. */
export interface MasterKeySource extends AsyncDisposable {
  /** The part of the ids before the colon. */
  readonly kind: string;
  /** Where the keys are, for messages. */
  readonly where: string;
  /** Looks again each time, because a rotation in another process adds keys. Throws `config_invalid` if the source cannot be used. */
  find(id: string): Promise<MasterKey | undefined>;
  /**
   * The newest key of the source that is not in `known` and that this server may use. An older one may have been kept only
   * for backups.
   */
  findUnused(known: readonly string[]): Promise<MasterKey | undefined>;
  /** Adds a key. It is durable when this returns. Throws `file_exists` if another process has just created the first key. */
  create(): Promise<MasterKey>;
  /** Removes a key. False if the source leaves that to its operator. */
  remove(id: string): Promise<boolean>;
}
