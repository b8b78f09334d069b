import type { FuseDirEntry } from '../fuse-fs.ts';
import { isDots, maxNameBytes } from './message.ts';
import { readU64, writeU64 } from './numbers.ts';
import { entryBytes, headerOutBytes, newReply, writeEntry } from './replies.ts';

/** struct fuse_dirent without the name: ino, cookie, length of the name, type. */
const direntBytes = 24;

/** The fewest bytes of one entry, from which follows how many can fit. */
export function maxEntries(sizeBytes: number, plus: boolean): number {
  return Math.floor(sizeBytes / (direntBytes + 8 + (plus ? entryBytes : 0)));
}

/** Takes entries as long as they fit into `sizeBytes`. */
export function listReply(entries: Iterable<FuseDirEntry>, sizeBytes: number, plus: boolean): Buffer {
  const reply = newReply(sizeBytes);
  let offset = headerOutBytes;
  for (const entry of entries) {
    const { name } = entry;
    if (name.length === 0 || name.length > maxNameBytes) throw new RangeError('A name in a folder is too long.');
    if (entry.cookie === 0) throw new RangeError('The cookie of an entry is 0.');
    const start = offset + (plus ? entryBytes : 0);
    const end = start + Math.ceil((direntBytes + name.length) / 8) * 8;
    if (end > reply.length) break;
    // The kernel links neither of the two, so nobody would forget them.
    if (plus && entry.entry !== undefined && !isDots(name)) writeEntry(reply, entry.entry, offset);
    writeU64(reply, entry.ino, start);
    writeU64(reply, entry.cookie, start + 8);
    reply.writeUInt32LE(name.length, start + 16);
    reply.writeUInt32LE((entry.type & 0o170000) >> 12, start + 20);
    reply.set(name, start + direntBytes);
    offset = end;
  }
  return reply.subarray(0, offset);
}

/** The nodes of a list of READDIRPLUS: each was looked up. */
export function nodesOfList(reply: Buffer): number[] {
  const nodes: number[] = [];
  for (let offset = headerOutBytes; offset < reply.length;) {
    const node = readU64(reply, offset);
    if (node !== 0) nodes.push(node);
    const nameBytes = reply.readUInt32LE(offset + entryBytes + 16);
    offset += entryBytes + Math.ceil((direntBytes + nameBytes) / 8) * 8;
  }
  return nodes;
}
