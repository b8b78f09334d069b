import { join } from 'node:path';
import { errorFromUnknown } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { findHalfDead, rewritePacks } from '@soulbox/volumes/stored';
import type { Generation, GenerationBody, HalfDeadPack, StoredVolumes } from '@soulbox/volumes/stored';
import type { OpenVolumes } from '../volumes/open-volumes.ts';
import type { UploadLimits } from './upload-limits.ts';
import { requestGeneration } from './volume-states.ts';
import type { VolumeState } from './volume-states.ts';

/** Packs that are read in one step, 8 MiB each at most: with the pause between steps this bounds what is read and sent. */
const packsPerStep = 4;
/** Packs of a group that one plan has. The next plan finds the others. */
const plannedMax = 64;
/** Sizes of packs, and times since when packs are half dead, that are remembered. */
const rememberedMax = 100_000;

export interface RewriteSources {
  readonly stored: StoredVolumes;
  /** Throws `storage_taken` if another server writes at this place. */
  readonly checkPlace: (signal: AbortSignal) => Promise<void>;
  /** Whether a volume of a group is being uploaded. */
  readonly isActive: (groupId: string) => boolean;
  readonly limits: UploadLimits;
  readonly logger: Logger;
}

/** The newest generation of a volume. */
export interface NewestGeneration {
  readonly generation: Generation;
  readonly body: GenerationBody;
}

/** Half-dead packs are rewritten, a few at a time: what is needed of them goes into new packs. */
export interface Rewrites {
  /** After a collection of the group. `newest`: of each of its volumes. */
  plan(
    volumes: OpenVolumes,
    members: readonly VolumeState[],
    newest: ReadonlyMap<string, NewestGeneration>,
  ): Promise<void>;
  /** Does what is due of what was planned. One call at a time, and not beside a collection. */
  run(volumes: OpenVolumes, signal: AbortSignal): Promise<void>;
  /** Packs of a group whose pieces of metadata the next upload sends again. */
  avoidedBy(groupId: string): ReadonlySet<string>;
}

interface Plan {
  readonly members: readonly VolumeState[];
  readonly due: HalfDeadPack[];
  /** The volumes whose newest generation has pieces in a pack. */
  readonly owners: ReadonlyMap<string, ReadonlySet<string>>;
  readonly avoided: Set<string>;
}

const now = (): number => performance.now();
const nothing: ReadonlySet<string> = new Set();

export function createRewrites({ stored, checkPlace, isActive, limits, logger }: RewriteSources): Rewrites {
  const plans = new Map<string, Plan>();
  const totals = new Map<string, number>();
  /** Since when a pack is half dead: what is replaced all the time is gone before it would be worth a copy. */
  const since = new Map<string, number>();
  let nextMs = 0;

  const rewrite = async (volumes: OpenVolumes, groupId: string, plan: Plan, signal: AbortSignal): Promise<void> => {
    const [first] = plan.members;
    if (first === undefined) return;
    const placeOf = new Map(plan.members.map((one) => [one.place.volumeId, one]));
    const wanted = plan.due.splice(0, packsPerStep);
    const {
      packs,
      movedBytes,
      volumes: renamed,
    } = await rewritePacks({
      ...{ group: groupId, packs: stored.packs, wanted, checkOwner: checkPlace, signal },
      blocks: stored.group(groupId, join(volumes.folderOf(first.place), 'blocks')),
      onSize: (pack, bytes) => {
        remember(totals, pack, bytes);
      },
      async rename(volumeId, blocks) {
        const place = placeOf.get(volumeId)?.place;
        if (place === undefined || !volumes.exists(place)) return;
        await volumes.use(place, async ({ volume }) => await volume.metadata.renameBlocks(blocks)).catch(ignoreRemoved);
      },
    });
    const changed = new Set(renamed);
    for (const pack of packs) {
      since.delete(pack);
      const owners = plan.owners.get(pack);
      if (owners === undefined) continue;
      plan.avoided.add(pack);
      for (const volumeId of owners) changed.add(volumeId);
    }
    // Their next generation does not name the old packs.
    for (const volumeId of changed) {
      const state = placeOf.get(volumeId);
      if (state !== undefined && volumes.exists(state.place)) requestGeneration(state, now());
    }
    if (packs.length > 0)
      logger.info(
        { groupId, packs: packs.length, movedBytes },
        'packs of volumes that were mostly unneeded were rewritten',
      );
  };

  return {
    async plan(volumes, members, newest) {
      const [first] = members;
      if (first === undefined) return;
      const { groupId } = first.place;
      const { pieces, owners } = piecesOf(newest);
      const data = volumes.folderOf(first.place);
      const found = await findHalfDead({ data, pieces, totals, max: plannedMax });
      for (const { pack } of found) if (!since.has(pack)) remember(since, pack, now());
      const due = found.filter(({ pack }) => now() - (since.get(pack) ?? now()) >= limits.graceMs);
      plans.set(groupId, { members, due, owners, avoided: new Set() });
    },
    async run(volumes, signal) {
      if (now() < nextMs) return;
      for (const [groupId, plan] of plans) {
        // Names that an upload or a copy has read would be those of before.
        if (plan.due.length === 0 || isActive(groupId) || volumes.copies.of(groupId) === undefined) continue;
        const startedAt = now();
        try {
          await rewrite(volumes, groupId, plan, signal);
        } finally {
          nextMs = now() + Math.max(limits.rewriteMs, (now() - startedAt) * limits.pauseFactor);
        }
        return;
      }
    },
    avoidedBy: (groupId) => plans.get(groupId)?.avoided ?? nothing,
  };
}

/** Bytes of metadata in each pack, and whose. */
function piecesOf(newest: ReadonlyMap<string, NewestGeneration>): {
  readonly pieces: Map<string, number>;
  readonly owners: Map<string, Set<string>>;
} {
  const pieces = new Map<string, number>();
  const owners = new Map<string, Set<string>>();
  for (const [volumeId, { generation, body }] of newest) {
    // Equal pieces have one place.
    const places = new Map(
      [...generation.body, ...body.pieces.map(({ place }) => place)].map((at) => [`${at.pack}.${at.at}`, at]),
    );
    for (const { pack, length } of places.values()) {
      pieces.set(pack, (pieces.get(pack) ?? 0) + length);
      owners.set(pack, (owners.get(pack) ?? new Set()).add(volumeId));
    }
  }
  return { pieces, owners };
}

function remember(map: Map<string, number>, pack: string, value: number): void {
  map.set(pack, value);
  for (const oldest of map.keys()) if (map.size > rememberedMax) map.delete(oldest);
}

function ignoreRemoved(thrown: unknown): void {
  if (errorFromUnknown(thrown).reason !== 'volume_not_found') throw thrown;
}
