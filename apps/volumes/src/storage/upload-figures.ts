import type { VolumeState } from './volume-states.ts';

/** What the object store has of the volumes of a host. */
export interface VolumeUploadFigures {
  /**
   * `working` while something is being uploaded or is about to be, `idle` if nothing is left, `waiting` between two tries,
   * `away` while the store cannot be used, `refused` if another server has taken over.
   */
  readonly state: 'starting' | 'working' | 'idle' | 'waiting' | 'away' | 'refused';
  /** Why it is `away` or `refused`. */
  readonly reason: string;
  readonly wanted: number;
  /** Volumes of which the store has everything. */
  readonly uploaded: number;
  /** Since the start of the service. */
  readonly uploads: number;
  readonly uploadedBytes: number;
  readonly failures: number;
  /** Volumes that have changes which the store does not have, those that wait for the longest time first. */
  readonly behind: readonly VolumeBehind[];
}

interface VolumeBehind {
  readonly id: string;
  /** How long ago the first change was that the store does not have. */
  readonly seconds: number;
  /** Of blocks, as of the last look. */
  readonly bytes: number;
  /** When the store's copy was made. 0: it has none. */
  readonly storedAtMs: number;
  /** Of the last failure. Empty: there was none. */
  readonly reason: string;
}

const behindMax = 100;

export function figuresOf(
  states: Iterable<VolumeState>,
  about: Pick<VolumeUploadFigures, 'state' | 'reason' | 'uploads' | 'uploadedBytes' | 'failures'>,
  nowMs: number,
): VolumeUploadFigures {
  const all = [...states];
  const behind = all
    .flatMap((one) => (one.dirtySinceMs === undefined ? [] : [{ one, sinceMs: one.dirtySinceMs }]))
    .sort((first, second) => first.sinceMs - second.sinceMs);
  return {
    ...about,
    // A change since the last look.
    state: about.state === 'idle' && behind.length > 0 ? 'working' : about.state,
    wanted: all.length,
    uploaded: all.length - behind.length,
    behind: behind.slice(0, behindMax).map(({ one, sinceMs }) => ({
      ...{ id: one.place.volumeId, seconds: Math.round((nowMs - sinceMs) / 1000), bytes: one.pendingBytes },
      ...{ storedAtMs: one.generationAtMs ?? 0, reason: one.failure },
    })),
  };
}
