import { errorFromUnknown } from '@soulbox/base';
import { blockId, nameInPack } from '../blocks/block-names.ts';
import type { PackPlace } from '../blocks/block-names.ts';
import type { RenamedBlock } from '../metadata/metadata.ts';
import type { GroupBlocks } from './group-blocks.ts';
import { isHalfDead } from './half-dead.ts';
import type { HalfDeadPack, LiveUnit, NamingRow } from './half-dead.ts';
import { createPackWriter } from './pack-writer.ts';
import type { StoredUnit } from './pack-writer.ts';
import type { OpenedPack, Packs } from './packs.ts';

export interface RewriteOptions {
  readonly group: string;
  readonly packs: Packs;
  readonly blocks: Pick<GroupBlocks, 'noteStored' | 'forgetStored'>;
  readonly wanted: readonly HalfDeadPack[];
  /** Gives the blocks of a volume other names. Does nothing for a volume that is gone. */
  readonly rename: (volumeId: string, renamed: readonly RenamedBlock[]) => Promise<void>;
  /** Called with the size of each pack that was read. */
  readonly onSize: (pack: string, bytes: number) => void;
  /** Called before anything is written. Throws `storage_taken` if another server writes at this place. */
  readonly checkOwner: (signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
}

export interface Rewritten {
  /** Packs that no volume on this host needs any more, unless its metadata are in them. */
  readonly packs: readonly string[];
  readonly movedBytes: number;
  /** Volumes whose blocks have other names now. */
  readonly volumes: ReadonlySet<string>;
}

/**
 * Copies the blocks that are needed of half-dead packs into new packs, then names them there. The old packs stay: the
 * collection deletes them when no kept generation names them. A process that is killed leaves a new pack that nothing
 * names, or blocks some of which are named in the old pack and some in the new one: both have the same bytes. A block that
 * was replaced since the plan keeps its name. A pack that cannot be read is left as it is.
 */
export async function rewritePacks(options: RewriteOptions): Promise<Rewritten> {
  const { group, packs, wanted, onSize, checkOwner, signal } = options;
  const volumes = new Set<string>();
  const writer = createPackWriter<LiveUnit>({
    ...{ packs, group, signal },
    onStored: async (units) => await renameAll(options, units, volumes),
  });
  const rewritten: string[] = [];
  let movedBytes = 0;
  await checkOwner(signal);
  try {
    for (const half of wanted) {
      const opened = await open(packs, group, half.pack, signal);
      if (opened === undefined) continue;
      onSize(half.pack, opened.bytes.length);
      if (!isHalfDead(half.liveBytes, opened.bytes.length)) continue;
      for (const unit of half.units) {
        if (!isIn(opened, unit)) continue;
        const { id, at, length } = unit;
        const fill = (target: Buffer): void => void opened.bytes.copy(target, 0, at, at + length);
        await writer.add({ id, length, fill, about: unit });
        movedBytes += length;
      }
      rewritten.push(half.pack);
    }
    await writer.finish();
  } finally {
    await writer.settle();
  }
  return { packs: rewritten, movedBytes, volumes };
}

async function open(packs: Packs, group: string, pack: string, signal: AbortSignal): Promise<OpenedPack | undefined> {
  try {
    return await packs.get(group, pack, signal);
  } catch (error) {
    // Whoever reads its blocks will be told.
    if (errorFromUnknown(error).reason === 'storage_damaged') return undefined;
    throw error;
  }
}

/** The table of a pack is authenticated; a name in metadata of before a fault may be wrong. */
const isIn = ({ units }: OpenedPack, { id, at, length }: LiveUnit): boolean =>
  units.some((unit) => unit.id === id && unit.at === at && unit.length === length);

async function renameAll(
  { blocks, rename }: RewriteOptions,
  units: readonly StoredUnit<LiveUnit>[],
  volumes: Set<string>,
): Promise<void> {
  const byVolume = new Map<string, RenamedBlock[]>();
  for (const { about, place } of units) {
    blocks.noteStored(about.id, place);
    for (const row of about.rows) {
      const renamed = byVolume.get(row.volumeId) ?? [];
      byVolume.set(row.volumeId, renamed);
      renamed.push(renamedTo(row, place));
    }
  }
  for (const [volumeId, renamed] of byVolume) {
    await rename(volumeId, renamed);
    volumes.add(volumeId);
  }
}

const renamedTo = ({ ino, index, name }: NamingRow, place: PackPlace): RenamedBlock => ({
  ...{ place: { ino, index }, from: name, to: nameInPack(blockId(name), place) },
});
