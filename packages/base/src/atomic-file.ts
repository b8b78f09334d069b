import { open, rename, rm } from 'node:fs/promises';

/**
 * Replaces the content of `path` atomically: a reader, or a host that crashed, has the old file or the new one, never a
 * part. `durable` also flushes the new file to the disk first. The default mode is 0600.
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
    // Without this, each failed attempt on a full disk would leave another file.
    await rm(temporary, { force: true });
    throw error;
  }
}
