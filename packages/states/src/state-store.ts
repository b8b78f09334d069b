import type { Manifest, StateFacts } from './manifest.ts';

/**
 * What sandboxes leave when they sleep: *states*, each a manifest and the parts it names, and *layers*, frozen disks that
 * states and running sandboxes share. Both are written once and never changed. Nothing counts references: what is needed
 * is what the caller's records and the manifests name at the moment of a collection, so a crash in between cannot make a
 * count wrong.
 */
export interface StateStore {
  /** A folder for a driver to save into. It becomes a state by `seal`; until then it is nobody's. */
  begin(stateId: string): Promise<StateDraft>;
  /** Reads and checks the manifest and that every part has its size. Throws `state_damaged`, `state_incompatible`. */
  open(stateId: string): Promise<State>;
  find(stateId: string): Promise<State | undefined>;
  /** Ids of all sealed states, damaged ones included. */
  list(): Promise<readonly string[]>;
  remove(stateId: string): Promise<void>;
  /** Where the disk of a suspended sandbox is to be moved to, to become the layer of this id. */
  layerPath(layerId: string): string;
  /** Notes size and block digests of a layer that was just moved to its path. */
  sealLayer(layerId: string): Promise<void>;
  /** Checks a layer once in the life of this store. Throws `state_damaged`. */
  verifyLayer(layerId: string): Promise<void>;
  /** One layer with the content of several (topmost first) takes their place, so that chains do not grow without end. */
  flatten(layerIds: readonly string[], layerId: string): Promise<void>;
  /** Removes every state that is not in `states`, and every layer that neither those states nor `layers` name. */
  collect(needed: { readonly states: ReadonlySet<string>; readonly layers: ReadonlySet<string> }): Promise<Collection>;
}

export interface Collection {
  readonly removedStates: readonly string[];
  readonly removedLayers: readonly string[];
}

/** A state being written. Disposing one that was not sealed removes what is there of it. */
export interface StateDraft extends AsyncDisposable {
  readonly stateId: string;
  /** Empty, mode 0700, on the same file system as sandboxes' folders. */
  readonly directory: string;
  /** Starts computing digests while the driver still writes; optional. */
  follow(): void;
  /** Digests every part, flushes all to the disk and writes the manifest last. Throws `disk_full`. */
  seal(facts: StateFacts): Promise<State>;
}

/** A sealed state. */
export interface State {
  readonly stateId: string;
  readonly manifest: Manifest;
  /** Where its parts are files of their own names. */
  readonly directory: string;
  /** Reads the parts (all, or those for which `isMeant` holds) and compares their digests. Throws `state_damaged`. */
  verify(isMeant?: (partName: string) => boolean): Promise<void>;
  /** Bytes it takes, its layers not counted. */
  readonly sizeBytes: number;
}
