export type { Collection, State, StateDraft, StateStore } from './state-store.ts';
export { manifestFormat } from './manifest.ts';
export type { Manifest, StateFacts } from './manifest.ts';
