import type { Logger } from '@soulbox/base';
import { sealedObjects, socketAccess } from '@soulbox/vault';
import type { OwnerWords } from '@soulbox/vault';
import { openStoredVolumes } from '@soulbox/volumes/stored';
import { createVolumeStore } from './upload-volumes.ts';
import type { VolumeStore } from './upload-volumes.ts';

/** The place of this server in the object store, and how to reach it. */
export interface VolumeStorageSettings {
  /** The socket of the process that has the credentials, as it is seen after the privileges are gone. */
  readonly socket: string;
  readonly serverId: string;
  readonly owner: OwnerWords;
  /** In hexadecimal form. */
  readonly key: string;
  /** MiB of the disk for blocks that are in the store. Undefined: all stay. */
  readonly localMb: number | undefined;
}

/** Loaded only on a host that has an object store. */
export function connectVolumeStore(
  { socket, serverId, owner, key: digits, localMb }: VolumeStorageSettings,
  { directory, logger }: { readonly directory: string; readonly logger: Logger },
): VolumeStore {
  const objects = sealedObjects(socketAccess(socket), serverId);
  const key = Buffer.from(digits, 'hex');
  const localBytes = localMb === undefined ? undefined : localMb * 1024 * 1024;
  const stored = openStoredVolumes({ objects, key, directory, localBytes, logger });
  return createVolumeStore({ stored, objects, key, owner, directory, logger });
}
