import { execFileSync } from 'node:child_process';
import { unlinkSync } from 'node:fs';
import { setTimes } from '@soulbox/linux/file-attributes';
import { checkMarks, dropOwnAttributes, dropPassingMarks, isOpaque, setOpaque } from './overlay-marks.ts';
import type { Entry } from './tree.ts';
import { findEntry, isWhiteout, joinBytes, listEntries, removeContent, removeEntry } from './tree.ts';

/**
 * Merges the layer folder `upper` into the layer folder `target`, as overlayfs shows one over the other. Hidden entries
 * are removed, then all of `upper` is copied, whiteouts included. At that time only folders can exist at the targets of
 * cp(1). It follows no links, and keeps hard links, holes, devices, owners, times and attributes.
 */
export function mergeLayer(upper: string, target: string): void {
  const becomeOpaque: Buffer[] = [];
  clearTheWay(Buffer.from(upper), Buffer.from(target), becomeOpaque);
  const preserve = '--preserve=mode,ownership,timestamps,links,xattr';
  execFileSync('cp', ['-R', '-P', preserve, '--sparse=auto', '-T', '--', upper, target], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  becomeOpaque.forEach(setOpaque);
}

function clearTheWay(upper: Buffer, target: Buffer, becomeOpaque: Buffer[]): void {
  checkMarks(upper);
  if (findEntry(target) !== undefined) dropOwnAttributes(target);
  for (const entry of listEntries(upper)) {
    const place = joinBytes(target, entry.name);
    clearPlace(entry, place, becomeOpaque);
    if (entry.stats.isDirectory()) clearTheWay(entry.path, place, becomeOpaque);
    else checkMarks(entry.path);
  }
}

function clearPlace(entry: Entry, place: Buffer, becomeOpaque: Buffer[]): void {
  const there = findEntry(place);
  if (there === undefined) return;
  const isFolder = entry.stats.isDirectory();
  if (isFolder && there.isDirectory()) {
    if (isOpaque(entry.path)) removeContent(place);
    return;
  }
  removeEntry(place, there);
  // The removed file or whiteout hid a folder with this name in lower layers. The new folder must hide it, too.
  if (isFolder) becomeOpaque.push(place);
}

/**
 * Removes marks from a merged layer that only a layer in use needs. Also removes whiteouts in folders that hide
 * everything below anyway: overlayfs does not merge such a folder with others, and would list the whiteouts.
 */
export function tidyLayer(folder: Buffer, isAlone = false): void {
  dropPassingMarks(folder);
  const alone = isAlone || isOpaque(folder);
  const before = findEntry(folder);
  const entries = listEntries(folder);
  const needless = alone ? entries.filter((entry) => isWhiteout(entry.stats)) : [];
  for (const entry of needless) unlinkSync(entry.path);
  for (const entry of entries) {
    if (entry.stats.isDirectory()) tidyLayer(entry.path, alone);
    else if (!needless.includes(entry)) dropPassingMarks(entry.path);
  }
  if (needless.length > 0 && before !== undefined) setTimes(folder, before);
}
