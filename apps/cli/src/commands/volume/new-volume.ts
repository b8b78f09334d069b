import type { ApiVolume } from '../../api/wire.ts';

/** Prints the id, or with --json the volume without its token. */
export function printNewVolume(volume: ApiVolume, json: boolean | undefined): void {
  const { volumeID, name, sizeMb, from, readOnly, createdAt } = volume;
  console.log(json === true ? JSON.stringify({ volumeID, name, sizeMb, from, readOnly, createdAt }) : volumeID);
}
