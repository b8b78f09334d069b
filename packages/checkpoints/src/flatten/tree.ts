import type { BigIntStats } from 'node:fs';
import { lstatSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs';

const slash = Buffer.from('/');

/** An entry of a folder that a sandbox has filled. Its name may be any bytes. */
export interface Entry {
  readonly name: Buffer;
  readonly path: Buffer;
  readonly stats: BigIntStats;
}

export const joinBytes = (folder: Buffer, name: Buffer): Buffer => Buffer.concat([folder, slash, name]);

export function listEntries(folder: Buffer): Entry[] {
  return readdirSync(folder, { encoding: 'buffer' }).map((name) => {
    const path = joinBytes(folder, name);
    return { name, path, stats: lstatSync(path, { bigint: true }) };
  });
}

export function findEntry(path: Buffer): BigIntStats | undefined {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false });
}

/** Overlayfs marks a deleted name with a character device 0:0 in its place. */
export const isWhiteout = (stats: BigIntStats): boolean => stats.isCharacterDevice() && stats.rdev === 0n;

/** Removes the entry at `path`, with everything below it. */
export function removeEntry(path: Buffer, stats: BigIntStats): void {
  if (!stats.isDirectory()) {
    unlinkSync(path);
    return;
  }
  removeContent(path);
  rmdirSync(path);
}

export function removeContent(folder: Buffer): void {
  for (const entry of listEntries(folder)) removeEntry(entry.path, entry.stats);
}
