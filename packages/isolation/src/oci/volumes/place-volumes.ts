import { fileURLToPath } from 'node:url';

const placeProgram = fileURLToPath(new URL('place-volumes.pl', import.meta.url));

/** The beginning of a command that inherits the mounts of volumes, as descriptors from 3 on, and gives each its folder. */
export function placingVolumes(folders: readonly string[]): readonly string[] {
  return folders.length === 0 ? [] : ['perl', placeProgram, ...folders, '--'];
}
