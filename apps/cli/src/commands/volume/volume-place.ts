import { callApi } from '../../api/call.ts';
import type { ApiConnection } from '../../api/connection.ts';
import type { ApiVolumeEntry } from '../../api/wire.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { parsePlace } from '../../copy/place.ts';

export const volumeArg = { type: 'positional', required: true, description: 'Its id or name' } as const;

/** A path in a volume. */
export interface VolumePlace {
  readonly volume: string;
  readonly path: string;
}

/** `VOLUME:PATH`; without a path, the root. Undefined for a path of this host and for `-`. Throws UsageError. */
export function findVolumePlace(text: string): VolumePlace | undefined {
  const place = parsePlace(text);
  if (place.at !== 'sandbox') return undefined;
  // A path that begins with `~` is a name here: a volume has no users.
  return { volume: place.sandboxId, path: text.endsWith(':') ? '/' : place.path };
}

/** The same for an argument that must be one. */
export function parseVolumePlace(text: string): VolumePlace {
  const place = findVolumePlace(text);
  if (place !== undefined) return place;
  throw new UsageError(`${JSON.stringify(text)} must be VOLUME:PATH, such as datasets:/raw.`);
}

/** The call about a path of a volume. */
export function contentCall(what: 'dir' | 'path' | 'file' | 'rename', { volume, path }: VolumePlace, query = {}) {
  return { path: `/volumecontent/${encodeURIComponent(volume)}/${what}`, query: { path, ...query } };
}

/** Undefined if the path does not exist. */
export async function findEntry(api: ApiConnection, place: VolumePlace): Promise<ApiVolumeEntry | undefined> {
  const { ApiError } = await import('../../api/api-error.ts');
  try {
    return (await callApi<ApiVolumeEntry>(api, contentCall('path', place))).body;
  } catch (error) {
    if (error instanceof ApiError && error.reason === 'file_not_found') return undefined;
    throw error;
  }
}
