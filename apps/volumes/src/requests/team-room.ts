import { SoulBoxError } from '@soulbox/base';
import type { OpenVolumes } from '../volumes/open-volumes.ts';

/** A write that is counted against the limit of its team. */
export interface TakenRoom extends Disposable {
  /** Throws `limit_exceeded`. */
  take(bytes: number): Promise<void>;
}

/** What the volumes of a team may have together. Writes at the same time share what is left. */
export interface TeamRoom {
  /** Throws `limit_exceeded` for a write that announces too much. */
  begin(
    teamId: string,
    write: { readonly limitBytes: number | undefined; readonly announcedBytes: number | undefined },
  ): Promise<TakenRoom>;
}

const mib = 1024 * 1024;

export function createTeamRoom(volumes: Pick<OpenVolumes, 'teamBytes'>): TeamRoom {
  /** Bytes that were announced and not written yet. What was written is in the sizes of the volumes. */
  const announced = new Map<string, number>();
  const announce = (teamId: string, bytes: number): void => {
    const sum = (announced.get(teamId) ?? 0) + bytes;
    if (sum === 0) announced.delete(teamId);
    else announced.set(teamId, sum);
  };
  return {
    async begin(teamId, { limitBytes, announcedBytes = 0 }) {
      const check = async (bytes: number): Promise<void> => {
        if (limitBytes === undefined) return;
        const used = (await volumes.teamBytes(teamId)) + (announced.get(teamId) ?? 0);
        if (used + bytes <= limitBytes) return;
        throw new SoulBoxError(
          'limit_exceeded',
          `The volumes of the team have ${Math.ceil(used / mib)} MiB of the allowed ${limitBytes / mib} MiB. Delete files or volumes.`,
        );
      };
      await check(announcedBytes);
      announce(teamId, announcedBytes);
      let left = announcedBytes;
      return {
        async take(bytes) {
          const known = Math.min(left, bytes);
          left -= known;
          announce(teamId, -known);
          await check(bytes);
        },
        [Symbol.dispose]: () => announce(teamId, -left),
      };
    },
  };
}
