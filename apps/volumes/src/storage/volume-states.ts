import type { GenerationBody } from '@soulbox/volumes/stored';
import type { VolumePlace } from '../volumes/volume-place.ts';
import type { UploadLimits } from './upload-limits.ts';

/** What is known of one volume and the object store. */
export interface VolumeState {
  readonly place: VolumePlace;
  /** Generations in the store, the newest one last. */
  numbers: number[];
  /** Of the newest one. Undefined: not read yet. */
  body: GenerationBody | undefined;
  /** `VolumeFacts.changes` of the newest one. -1: there is none, or another one is wanted. */
  uploadedChanges: number;
  /** Since when there are changes that the store does not have. */
  dirtySinceMs: number | undefined;
  /** When the newest one was made, in the time of the host. */
  generationAtMs: number | undefined;
  pendingBytes: number;
  notBeforeMs: number;
  failure: string;
  failures: number;
}

export function createState(place: VolumePlace): VolumeState {
  return {
    ...{ place, numbers: [], body: undefined, uploadedChanges: -1, dirtySinceMs: undefined },
    ...{ generationAtMs: undefined, pendingBytes: 0, notBeforeMs: 0, failure: '', failures: 0 },
  };
}

/** `nowMs` is of a clock that never goes back. */
export function noteChanges(state: VolumeState, changes: number, nowMs: number): void {
  if (changes === state.uploadedChanges) state.dirtySinceMs = undefined;
  else state.dirtySinceMs ??= nowMs;
}

/** The volume is uploaded once more, although nobody has changed it. */
export function requestGeneration(state: VolumeState, nowMs: number): void {
  state.uploadedChanges = -1;
  state.dirtySinceMs ??= nowMs;
}

export function isDue(state: VolumeState, { settleMs }: UploadLimits, nowMs: number): boolean {
  return state.dirtySinceMs !== undefined && nowMs >= Math.max(state.dirtySinceMs + settleMs, state.notBeforeMs);
}

export function noteFailure(state: VolumeState, reason: string, limits: UploadLimits, nowMs: number): void {
  state.failure = reason;
  state.notBeforeMs = nowMs + Math.min(limits.awayMaxMs, limits.awayMs * 2 ** state.failures);
  state.failures = Math.min(20, state.failures + 1);
}
