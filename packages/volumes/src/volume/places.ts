import { join } from 'node:path';

/** A folder has volumes that can share blocks: `<id>/metadata.sqlite` for each, and `blocks/` for all. */
export const metadataPath = (data: string, id: string): string => join(data, id, metadataName);
export const blocksPath = (data: string): string => join(data, 'blocks');
export const metadataName = 'metadata.sqlite';
