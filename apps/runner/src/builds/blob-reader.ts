import type { BlobStore } from '@soulbox/storage';

/** Where the archives of COPY steps are, encrypted by the control plane. */
export type BlobReader = Pick<BlobStore, 'read'>;
