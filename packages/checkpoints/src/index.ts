export { openCheckpointStore } from './open-checkpoint-store.ts';
export type { CheckpointStoreOptions } from './open-checkpoint-store.ts';
export type {
  Collection,
  Needed,
  PartDigests,
  Checkpoint,
  ClearCheckpoint,
  PartKinds,
  CheckpointDraft,
  CheckpointStore,
} from './checkpoint-store.ts';
export type { CheckpointKeys } from './sealing/checkpoint-keys.ts';
export { findSealedCheckpoint } from './find-sealed-checkpoint.ts';
export { openDamagedCheckpoints } from './damaged-checkpoints.ts';
export type { DamagedCheckpoint, DamagedCheckpoints, DamageNote } from './damaged-checkpoints.ts';
export { readSealedJson, writeSealedJson } from './sealed-json.ts';
export { diskDigestsSchema, manifestFormat } from './manifest.ts';
export type { DiskDigests, FileDigests, Manifest, StampedDisk, CheckpointFacts } from './manifest.ts';
