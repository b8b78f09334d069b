export { openStateStore } from './open-state-store.ts';
export type { StateStoreOptions } from './open-state-store.ts';
export type { Collection, Needed, PartDigests, State, StateDraft, StateStore } from './state-store.ts';
export { openDamagedStates } from './damaged-states.ts';
export type { DamagedState, DamagedStates, DamageNote } from './damaged-states.ts';
export { readSealedJson, writeSealedJson } from './sealed-json.ts';
export { diskDigestsSchema, manifestFormat } from './manifest.ts';
export type { DiskDigests, Manifest, StampedDisk, StateFacts } from './manifest.ts';
