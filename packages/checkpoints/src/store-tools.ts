import type { ClearFolders } from './clear-folders.ts';
import type { Digester } from './digests/digester.ts';
import type { KeptCopies } from './kept-copies.ts';
import type { CheckpointKeys } from './sealing/checkpoint-keys.ts';

/** What the parts of a store share. */
export interface StoreTools {
  readonly digester: Digester;
  readonly keys: CheckpointKeys;
  readonly clear: ClearFolders;
  readonly kept: KeptCopies;
}
