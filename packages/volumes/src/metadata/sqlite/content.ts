import type { DatabaseSync } from 'node:sqlite';
import { FuseError } from '@soulbox/fuse';
import type { FuseTime } from '@soulbox/fuse';
import { blockBytes } from '../../limits.ts';
import { crcOf } from '../checksum.ts';
import { hasBlocks, isFile, withoutSuidgid } from '../inode.ts';
import type { Inode } from '../inode.ts';
import type { Block, BlockPlace, Write } from '../metadata.ts';
import type { Facts } from './facts.ts';
import type { Inodes, Row } from './inodes.ts';

export interface ContentTools {
  readonly facts: Facts;
  readonly inodes: Inodes;
  readonly now: () => FuseTime;
  /** Objects that no row of this volume names any longer, and no copy can share. */
  readonly freed: (objects: readonly string[]) => void;
}

export interface Content {
  blocks(ino: number, first: number, last: number, limit: number): Block[];
  list(after: BlockPlace, limit: number): (Block & BlockPlace)[];
  /** Returns the inode of before. */
  write(ino: number, write: Write): Inode;
  setDigest(ino: number, block: Block, digest: Uint8Array | undefined): void;
  /** Does nothing if the block has another name by now. */
  rename(place: BlockPlace, from: string, to: string): void;
  /** The inode with another size, and without what lies behind it. The caller puts it. */
  resized(inode: Inode, size: number): Inode;
  /** Removes its first blocks, up to `limit`. */
  removeSome(inode: Inode, limit: number): { readonly bytes: number; readonly isAll: boolean };
}

/** More than any index. */
const indexEnd = 2 ** 32;

export function sqliteContent(db: DatabaseSync, { facts, inodes, now, freed }: ContentTools): Content {
  const select = db.prepare('SELECT * FROM block WHERE ino = ? AND idx >= ? AND idx <= ? ORDER BY idx LIMIT ?');
  const listAll = db.prepare('SELECT * FROM block WHERE (ino, idx) > (?, ?) ORDER BY ino, idx LIMIT ?');
  const few = db.prepare(
    'SELECT count(*) AS count, max(idx) AS last FROM (SELECT idx FROM block WHERE ino = ? ORDER BY idx LIMIT ?)',
  );
  const put = db.prepare(
    'INSERT OR REPLACE INTO block (ino, idx, len, gen, object, data, digest) VALUES (?, ?, ?, ?, ?, ?, ?)',
  );
  // Not `RETURNING`, which makes a table for its rows: that takes longer than the delete.
  const selectNames = db.prepare('SELECT len, gen, object FROM block WHERE ino = ? AND idx >= ? AND idx < ?');
  const remove = db.prepare('DELETE FROM block WHERE ino = ? AND idx >= ? AND idx < ?');
  const cut = db.prepare('UPDATE block SET len = ?, digest = NULL WHERE ino = ? AND idx = ?');
  const setDigest = db.prepare('UPDATE block SET digest = ? WHERE ino = ? AND idx = ? AND object = ? AND len = ?');
  const rename = db.prepare('UPDATE block SET object = ? WHERE ino = ? AND idx = ? AND object = ?');

  const blocks: Content['blocks'] = (ino, first, last, limit) => select.all(ino, first, last, limit).map(blockFromRow);
  const free = (rows: readonly { readonly gen: number; readonly object: string | undefined }[]): void => {
    // A copy may share those of a generation at which one was made: the sweep finds out.
    const own = rows.flatMap(({ gen, object }) =>
      object !== undefined && gen > facts.now.sharedGeneration ? [object] : [],
    );
    if (own.length > 0) freed(own);
  };
  /** Returns how many bytes it freed. */
  const removeBlocks = (ino: number, from: number, to: number): number => {
    const rows = selectNames.all(ino, from, to).map((row) => ({
      len: row['len'] as number,
      gen: row['gen'] as number,
      object: typeof row['object'] === 'string' ? row['object'] : undefined,
    }));
    if (rows.length === 0) return 0;
    remove.run(ino, from, to);
    free(rows);
    return rows.reduce((sum, { len }) => sum + len, 0);
  };

  return {
    blocks,
    list: ({ ino, index }, limit) =>
      listAll.all(ino, index, limit).map((row) => ({ ...blockFromRow(row), ino: row['ino'] as number })),
    write(ino, { blocks: changes, holes, sizeAtLeast, killSuidgid }) {
      const inode = inodes.get(ino);
      if (!isFile(inode)) throw new FuseError('EINVAL');
      let growth = 0;
      for (const { length, old } of changes) growth += length - (old?.length ?? 0);
      facts.checkRoom({ bytes: growth, inodes: 0 });
      for (const { index, length, content, old } of changes) {
        const [object, data] = typeof content === 'string' ? [content, null] : [null, content];
        const isSame = old !== undefined && old.content === object;
        // A write into its place, whose digest is gone by now: the row says so already.
        if (isSame && length === old.length) continue;
        if (!isSame && typeof old?.content === 'string') free([{ gen: old.generation, object: old.content }]);
        const generation = isSame ? old.generation : facts.now.generation;
        put.run(ino, index, length, generation, object, data, data === null ? null : crcOf(data));
      }
      if (holes !== undefined) growth -= removeBlocks(ino, ...holes);
      const time = now();
      inodes.put({
        ...inode,
        mode: killSuidgid ? withoutSuidgid(inode.mode) : inode.mode,
        size: Math.max(inode.size, sizeAtLeast),
        allocated: inode.allocated + growth,
        mtime: time,
        ctime: time,
      });
      facts.grow({ bytes: growth, inodes: 0 });
      return inode;
    },
    setDigest(ino, { index, content, length }, digest) {
      if (typeof content === 'string') setDigest.run(digest ?? null, ino, index, content, length);
    },
    rename({ ino, index }, from, to) {
      rename.run(to, ino, index, from);
    },
    resized(inode, size) {
      const { ino } = inode;
      if (size >= inode.size) return { ...inode, size };
      const last = Math.ceil(size / blockBytes);
      let freedBytes = removeBlocks(ino, last, indexEnd);
      const inLast = size - (last - 1) * blockBytes;
      const [tail] = last === 0 ? [] : blocks(ino, last - 1, last - 1, 1);
      if (tail !== undefined && tail.length > inLast) {
        freedBytes += tail.length - inLast;
        if (typeof tail.content === 'string') cut.run(inLast, ino, tail.index);
        else {
          const kept = tail.content.subarray(0, inLast);
          put.run(ino, tail.index, inLast, facts.now.generation, null, kept, crcOf(kept));
        }
      }
      facts.grow({ bytes: -freedBytes, inodes: 0 });
      return { ...inode, size, allocated: inode.allocated - freedBytes };
    },
    removeSome(inode, limit) {
      if (!hasBlocks(inode)) return { bytes: 0, isAll: true };
      // Most files cannot have more blocks than that.
      if (inode.size <= limit * blockBytes) return { bytes: removeBlocks(inode.ino, 0, indexEnd), isAll: true };
      const row = few.get(inode.ino, limit);
      if (typeof row?.['last'] !== 'number') return { bytes: 0, isAll: true };
      return { bytes: removeBlocks(inode.ino, 0, row['last'] + 1), isAll: row['count'] !== limit };
    },
  };
}

function blockFromRow(row: Row): Block {
  return {
    index: row['idx'] as number,
    length: row['len'] as number,
    content: typeof row['object'] === 'string' ? row['object'] : (row['data'] as Uint8Array),
    generation: row['gen'] as number,
    digest: row['digest'] instanceof Uint8Array ? row['digest'] : undefined,
  };
}
