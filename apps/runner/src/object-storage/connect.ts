import { socketAccess } from '@soulbox/vault';
import type { OwnerWords } from '@soulbox/vault';
import type { StoredSource } from '../stored/open-stored-copies.ts';
import { uploadDependencies } from './upload-dependencies.ts';
import { startUploader } from './uploader.ts';
import type { UploadContext, Uploader } from './uploader.ts';

/** The place of this server in the object store, and how to reach it. */
export interface UploadSettings {
  /** Of the process that has the credentials. */
  readonly socket: string;
  readonly serverId: string;
  readonly owner: OwnerWords;
  /** In hexadecimal form. */
  readonly keys: { readonly runner: string; readonly owner: string };
  /** For checkpoints and layers on this host. 0: all are kept. */
  readonly localMb: number;
}

/** What the runner fetches from. */
export function storedSourceOf({ socket, serverId, keys }: UploadSettings): StoredSource {
  return { access: socketAccess(socket), serverId, key: Buffer.from(keys.runner, 'hex') };
}

/** Starts the uploads. Loaded only on a host that has an object store. */
export function connectUploads(
  context: UploadContext,
  { socket, serverId, owner, keys, localMb }: UploadSettings,
): Uploader {
  const bytes = { runner: Buffer.from(keys.runner, 'hex'), owner: Buffer.from(keys.owner, 'hex') };
  const eviction = { localBytes: localMb === 0 ? undefined : localMb * 2 ** 20 };
  const access = socketAccess(socket);
  const own = { serverId, owner, keys: bytes };
  const uploader = startUploader(context, access, { ...own, eviction });
  const { dataDirectory, disks, logger } = context.host;
  const dependencies = uploadDependencies({ ...own, access, dataDirectory, disks, logger });
  return {
    figures: () => uploader.figures(),
    async [Symbol.asyncDispose]() {
      await Promise.all([uploader[Symbol.asyncDispose](), dependencies[Symbol.asyncDispose]()]);
    },
  };
}
