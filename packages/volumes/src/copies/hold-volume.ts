import type { DatabaseSync } from 'node:sqlite';
import { metadataPath } from '../volume/places.ts';
import type { Volume } from '../volume/open.ts';
import { holdMoment } from './copy-volume.ts';

/** A volume as it was at one moment, until it is disposed. Writes to the volume go on. */
export interface HeldVolume extends Disposable {
  readonly volume: Volume;
  /** The folder of its group. */
  readonly data: string;
  /** The metadata of the moment. Its blocks stay, except those that only the object store has, and what a sweep finds. */
  readonly db: DatabaseSync;
  /** The number of the last transaction that the moment has. */
  readonly commit: number;
}

/**
 * Holds the present moment of a volume, without copying anything: the time does not depend on its size. A sweep finds
 * blocks of it that are deleted meanwhile, but not within `copyMsMax`.
 */
export async function holdVolume(volume: Volume, data: string): Promise<HeldVolume> {
  using parts = new DisposableStack();
  parts.use(volume.keepFreed());
  const path = metadataPath(data, volume.metadata.facts().id);
  const { db, commit } = parts.use(await volume.atRest(() => holdMoment(path), { isShared: false }));
  const held = parts.move();
  return { volume, data, db, commit, [Symbol.dispose]: () => held.dispose() };
}
