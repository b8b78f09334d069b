/** AES-256-GCM with separate nonce and tag. Replaces the content of `block`. */
export interface BlockCipher {
  /** Writes the tag. */
  seal(key: Uint8Array, nonce: Uint8Array, place: Uint8Array, block: Uint8Array, tag: Uint8Array): void;
  /** Whether the tag matched. */
  open(key: Uint8Array, nonce: Uint8Array, place: Uint8Array, block: Uint8Array, tag: Uint8Array): boolean;
}

/** Undefined when the process does not export OpenSSL's functions. `load` gives its symbols. */
export function openNativeCipher(load?: () => unknown): BlockCipher | undefined;
export const portableCipher: BlockCipher;

/**
 * Encrypts a block in its own memory. Gives its nonce and tag in hexadecimal. The nonce is random: a block that is written
 * again gets another one.
 */
export function sealInPlace(key: Uint8Array, place: Uint8Array, block: Uint8Array, cipher?: BlockCipher): string;

/**
 * Decrypts a block in its own memory. False if it was not encrypted with this key for this place: it is overwritten with
 * zeros then.
 */
export function openInPlace(
  key: Uint8Array,
  place: Uint8Array,
  block: Uint8Array,
  seal: string | undefined,
  cipher?: BlockCipher,
): boolean;
