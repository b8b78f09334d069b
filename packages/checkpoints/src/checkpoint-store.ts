import type { DamageNote } from './damaged-checkpoints.ts';
import type { DiskDigests, Manifest, StampedDisk, CheckpointFacts } from './manifest.ts';

/**
 * What sandboxes leave when they sleep: *checkpoints*, each a manifest and the parts it names, and *layers*, frozen disks that
 * checkpoints and running sandboxes share. Both are written once and never changed. Nothing counts references: what is needed
 * is what the caller's records and the manifests name at the moment of a collection, so a crash in between cannot make a
 * count wrong.
 *
 * Ids are 1 to 64 of `[A-Za-z0-9_-]`; others are a `bad_request`. One store owns a folder at a time. Dispose it when no call
 * is under way.
 */
export interface CheckpointStore extends AsyncDisposable {
  /**
   * A folder for a driver to save into. It becomes a checkpoint by `seal`; until then it is nobody's. `layers` are all that its manifest
   * may name: they are needed as long as the draft is open. Default: none. Throws `name_taken`.
   */
  begin(checkpointId: string, layers?: readonly string[]): Promise<CheckpointDraft>;
  /**
   * Reads and checks the manifest, and that the folder holds every part in its size and nothing else. Throws
   * `snapshot_not_found`, `state_damaged`, `state_incompatible`.
   */
  open(checkpointId: string): Promise<Checkpoint>;
  /** Like `open`, but undefined when there is no checkpoint of this id. */
  find(checkpointId: string): Promise<Checkpoint | undefined>;
  /** Ids of all sealed checkpoints, damaged ones included. */
  list(): Promise<readonly string[]>;
  /**
   * Keeps large parts as compressed blobs where that saves a tenth or more. Safe to repeat. Nobody may be reading the parts;
   * `unpack` and `remove` may be called meanwhile: then, and when `signal` aborts, it gives up and gives undefined. Without
   * blobs in the store's options `capability_missing`.
   */
  compress(checkpointId: string, signal?: AbortSignal): Promise<Checkpoint | undefined>;
  /**
   * Makes all parts files again, checked; needed before any restore. Several calls at once share the work. About a second for
   * each GiB that was packed. `admit` is called, once for all of them, before so many bytes are written, and what it gives is
   * disposed afterwards; nothing happens when it throws. Throws as `open`.
   */
  unpack(checkpointId: string, admit?: (bytes: number) => Disposable): Promise<Checkpoint>;
  /**
   * Puts checkpoints and sealed layers, as they are, into the folder `directory` of the same file system, as a store has them there. By hard
   * links, so nothing is copied, and they stay there whatever becomes of them here. Safe to repeat. Throws as `open`.
   */
  linkInto(directory: string, checkpoints: readonly string[], layers: readonly string[]): Promise<void>;
  /** Nothing happens when there is none. */
  remove(checkpointId: string): Promise<void>;
  /**
   * Moves a checkpoint whose pages did not match their digests out of the store, to the folder `damaged` (`openDamagedCheckpoints`). Safe to
   * repeat.
   */
  setAside(checkpointId: string, note: DamageNote): Promise<void>;
  /** Removes what was set aside before this time. */
  dropDamaged(beforeMs: number): Promise<readonly string[]>;
  /** Where the disk of a suspended sandbox is to be moved to, or another's copied to, to become the layer of this id. */
  layerPath(layerId: string): string;
  /** Notes size and block digests of a layer that has just come to its path. Safe to repeat. Durable. */
  sealLayer(layerId: string): Promise<void>;
  /** Whether its digests have been noted. */
  isSealedLayer(layerId: string): Promise<boolean>;
  /** Checks a layer once in the life of this store; one that it sealed itself is known. Throws `state_damaged`. */
  verifyLayer(layerId: string): Promise<void>;
  /**
   * Makes one sealed layer that shows what several (topmost first) show together, so that chains do not grow without end.
   * They must be neighbours in a chain; they stay until they are collected. Takes some seconds for each GiB, in a process of
   * its own. Throws `name_taken`, `state_damaged`, `disk_full`.
   */
  flatten(layerIds: readonly string[], layerId: string): Promise<void>;
  /**
   * Flushes the disk of a paused sandbox and gives its size and digests, to be kept by the caller. One that holds more than
   * `maxReadBytes` (default 256 MiB) is known by its sizes and its stamp, so that neither a pause nor a resume waits for it to
   * be read. About 15 ms for a fresh disk.
   */
  digestDisk(path: string, maxReadBytes?: number): Promise<DiskDigests>;
  /**
   * Reads a disk that is known by its stamp, with the lowest priority, and notes its digests in a file beside it; nothing happens
   * when they are there. Gives up when `isWanted` says no, which it asks several times a second. About a second for each GiB.
   */
  digestInBackground(path: string, disk: StampedDisk, isWanted: () => boolean): Promise<void>;
  /** Throws `state_damaged` when the disk is not what `digestDisk` found, or is gone. */
  verifyDisk(path: string, expected: DiskDigests): Promise<void>;
  /**
   * Removes every checkpoint and layer that nobody needs. `findNeeded` is asked after the store has looked at what there is: a
   * caller that names a checkpoint or layer in its records before it makes it cannot lose it to a collection under way. Layers
   * that a kept checkpoint or an open draft names are needed too. While a kept checkpoint cannot be read, no layer is removed.
   */
  collect(findNeeded: () => Needed | Promise<Needed>): Promise<Collection>;
}

export interface Needed {
  readonly checkpoints: ReadonlySet<string>;
  readonly layers: ReadonlySet<string>;
}

export interface Collection {
  readonly removedCheckpoints: readonly string[];
  readonly removedLayers: readonly string[];
}

/** A checkpoint being written. Disposing one that was not sealed removes what is there of it. */
export interface CheckpointDraft extends AsyncDisposable {
  readonly checkpointId: string;
  /** Empty, mode 0700, on the same file system as sandboxes' folders. */
  readonly directory: string;
  /**
   * Computes digests, and begins to write to the disk, while the driver still saves: of those parts that it only ever appends
   * to. A part that is written in another order must not be named here: its digests would be wrong. Optional.
   */
  follow(isAppendOnly: (partName: string) => boolean): void;
  /** Digests every part, flushes all to the disk and writes the manifest last. Call it once. Throws `disk_full`, and `internal` for layers that `begin` was not told of. */
  seal(facts: CheckpointFacts): Promise<Checkpoint>;
}

/** A sealed checkpoint. */
export interface Checkpoint {
  readonly checkpointId: string;
  readonly manifest: Manifest;
  /** Where its parts are files of their own names. */
  readonly directory: string;
  /** Bytes it takes, its layers not counted. */
  readonly sizeBytes: number;
  /** Some parts are compressed: `unpack` it before `verify` and before a restore. */
  readonly isPacked: boolean;
  /** Reads the parts (all, or those for which `isMeant` holds) and compares their digests. Throws `state_damaged`. */
  verify(isMeant?: (partName: string) => boolean): Promise<void>;
  /** For a driver that checks these parts itself, as it reads them. */
  digestsOf(isMeant: (partName: string) => boolean): PartDigests;
}

/** The same as `BlockDigests` of a driver. */
export interface PartDigests {
  readonly blockBytes: number;
  /** SHA-256 of each block in hexadecimal, in order, by part. The last block may be shorter. */
  readonly parts: Readonly<Record<string, readonly string[]>>;
}
