import { socketAccess } from '@soulbox/vault';
import type { OwnerWords } from '@soulbox/vault';
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
}

/** Starts the uploads. Loaded only on a host that has an object store. */
export function connectUploads(context: UploadContext, { socket, serverId, owner, keys }: UploadSettings): Uploader {
  const bytes = { runner: Buffer.from(keys.runner, 'hex'), owner: Buffer.from(keys.owner, 'hex') };
  const access = socketAccess(socket);
  const own = { serverId, owner, keys: bytes };
  const uploader = startUploader(context, access, own);
  const { dataDirectory, logger } = context.host;
  const dependencies = uploadDependencies({ ...own, access, dataDirectory, logger });
  return {
    figures: () => uploader.figures(),
    async [Symbol.asyncDispose]() {
      await Promise.all([uploader[Symbol.asyncDispose](), dependencies[Symbol.asyncDispose]()]);
    },
  };
}
