import { closeSync, openSync, readSync } from 'node:fs';

const alphabet = 'abcdefghijklmnopqrstuvwxyz0123456789';

/**
 * `length` (at most 256) characters of `[a-z0-9]`, read from the kernel each time. The runtime's own generator is in
 * memory, which a copy of a running sandbox shares with its source, so both would generate the same values. envd keeps
 * no random state at all.
 */
export function kernelRandomId(length: number): string {
  let id = '';
  const bytes = new Uint8Array(length * 2);
  const fd = openSync('/dev/urandom', 'r');
  try {
    while (id.length < length) {
      const count = readSync(fd, bytes);
      // 252 is the largest multiple of 36 that fits in a byte. Larger values would make `%` prefer some letters.
      for (const byte of bytes.subarray(0, count)) if (byte < 252) id += alphabet.charAt(byte % 36);
    }
  } finally {
    closeSync(fd);
  }
  return id.slice(0, length);
}
