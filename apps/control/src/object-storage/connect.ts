import { socketAccess } from '@soulbox/vault';
import { uploadRecords } from './upload-records.ts';
import type { RecordUploadOptions } from './upload-records.ts';

/** The place of this server in the object store, and how to reach it. */
export interface RecordUploadSettings {
  /** Of the process that has the credentials. */
  readonly socket: string;
  readonly serverId: string;
  /** The word of this start (`OwnerWords`). */
  readonly nonce: string;
  /** In hexadecimal form. */
  readonly keys: { readonly control: string; readonly owner: string };
}

/** Starts the uploads of the records. Loaded only on a host that has an object store. */
export function connectRecordUpload(
  { socket, serverId, nonce, keys }: RecordUploadSettings,
  own: Omit<RecordUploadOptions, 'access' | 'serverId' | 'nonce' | 'keys'>,
): AsyncDisposable {
  const bytes = { control: Buffer.from(keys.control, 'hex'), owner: Buffer.from(keys.owner, 'hex') };
  return uploadRecords({ access: socketAccess(socket), serverId, nonce, keys: bytes, ...own });
}
