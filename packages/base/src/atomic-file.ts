import { open, rename, rm } from 'node:fs/promises';

/**
 * Replaces `path` by `content` so that a reader or a crash sees the old file or the new one, never a part.
 * `durable` also flushes it to the disk first. Mode 0600 by default.
 */
export async function writeFileAtomic(
  path: string,
  content: string | Uint8Array,
  options: { mode?: number; durable?: boolean } = {},
): Promise<void> {
  const temporary = `${path}.${String(process.pid)}.${String(process.hrtime.bigint())}.tmp`;
  const file = await open(temporary, 'wx', options.mode ?? 0o600);
  try {
    try {
      await file.writeFile(content);
      if (options.durable === true) await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    // On a full disk each failed attempt would cost another file.
    await rm(temporary, { force: true });
    throw error;
  }
}
