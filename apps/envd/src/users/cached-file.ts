import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs';

/** Larger account files are ignored. */
const maxBytes = 4 * 1024 * 1024;

/**
 * Returns a function that reads and parses a small file, and repeats that only after the file changed. A file that is
 * missing, too large or not regular gives `fallback`.
 */
export function cachedFile<T>(path: string, parse: (text: string) => T, fallback: T): () => T {
  let version = '';
  let value = fallback;
  return () => {
    const current = versionOf(path);
    if (current !== version) {
      value = current === '' ? fallback : parse(readBounded(path));
      version = current;
    }
    return value;
  };
}

function versionOf(path: string): string {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  return found === undefined ? '' : `${found.dev}:${found.ino}:${found.size}:${found.mtimeNs}:${found.ctimeNs}`;
}

function readBounded(path: string): string {
  // Opened without blocking, because root in the sandbox may have put a FIFO there.
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const { size } = fstatSync(fd);
    if (!fstatSync(fd).isFile() || size > maxBytes) return '';
    const buffer = Buffer.alloc(size);
    return buffer.toString('utf8', 0, readSync(fd, buffer, 0, size, 0));
  } finally {
    closeSync(fd);
  }
}
