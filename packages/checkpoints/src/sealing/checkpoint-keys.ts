/**
 * Encrypts the key of each checkpoint. A key that was sealed for one checkpoint cannot be opened for another. Given by
 * the caller, because master keys and their rotation are not the store's concern.
 */
export interface CheckpointKeys {
  /** Throws `master_key_missing`. */
  seal(checkpointId: string, key: Uint8Array): Promise<string>;
  /**
   * Throws `state_damaged` for a text that was altered or sealed for another checkpoint, `master_key_missing` when the
   * key that sealed it is lost. The caller overwrites the result after use, except that of an open `Checkpoint`, which has no end.
   */
  open(checkpointId: string, sealed: string): Promise<Buffer>;
}
