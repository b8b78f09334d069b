import type { BlobStore } from '@soulbox/storage';

/** Where the archives of COPY steps are. */
export type BlobReader = Pick<BlobStore, 'read'>;
