import type { DamageNote } from './damaged-checkpoints.ts';
import type { DiskDigests, FileDigests, Manifest, StampedDisk, CheckpointFacts } from './manifest.ts';

/**
 * Stores the data of paused sandboxes and snapshots: *checkpoints*, each a manifest and the parts that it names, and
 * *layers*, frozen disks that checkpoints and running sandboxes share. Both are written once and never changed. There
 * are no reference counts, which a crash could make wrong: a collection keeps what the caller's records and the
 * manifests name at that moment.
 *
 * Ids have 1 to 64 characters of `[A-Za-z0-9_-]`. Other ids are a `bad_request`. One store owns a folder at a time.
 * Dispose the store when no call is in progress.
 */
export interface CheckpointStore extends AsyncDisposable {
  /**
   * Makes a folder for a driver to save into. It becomes a checkpoint with `seal`, and is not visible before. `layers`
   * are all layers that its manifest may name. They are kept as long as the draft is open. Default: none. Throws
   * `name_taken`.
   */
  begin(checkpointId: string, layers?: readonly string[]): Promise<CheckpointDraft>;
  /** Says that checkpoints or disks are read soon: it need not wait then for the start of threads. Can be repeated. */
  expectReads(): void;
  /**
   * Reads and checks the manifest. Also checks that the folder contains every part with the right size and nothing
   * else. Throws `snapshot_not_found`, `state_damaged`, `state_incompatible`.
   */
  open(checkpointId: string): Promise<Checkpoint>;
  /** Like `open`, but undefined when there is no checkpoint with this id. */
  find(checkpointId: string): Promise<Checkpoint | undefined>;
  /** Ids of all sealed checkpoints, damaged ones included. */
  list(): Promise<readonly string[]>;
  /**
   * Turns large parts into compressed blobs if that saves a tenth or more. Safe to repeat. Nothing may read the parts
   * meanwhile. Calls of `unpack` and `remove` are allowed: they stop the compression, as `signal` does, and it returns
   * undefined. Throws `capability_missing` without blobs in the store's options.
   */
  compress(checkpointId: string, signal?: AbortSignal): Promise<Checkpoint | undefined>;
  /**
   * Turns all parts into checked files again, which every restore needs. Concurrent calls share the work. Takes about a
   * second for each packed GiB. `admit` is called once for all callers, before `bytes` are written, and its result is
   * disposed afterwards. If `admit` throws, nothing is unpacked. Throws the errors of `open`.
   */
  unpack(checkpointId: string, admit?: (bytes: number) => Disposable): Promise<Checkpoint>;
  /**
   * Links checkpoints and sealed layers into the folder `directory` of the same file system, with the layout of a
   * store. Hard links copy no data, and stay when the originals are removed. Safe to repeat. Throws the errors of
   * `open`.
   */
  linkInto(directory: string, checkpoints: readonly string[], layers: readonly string[]): Promise<void>;
  /** Does nothing when there is none. */
  remove(checkpointId: string): Promise<void>;
  /**
   * Moves a checkpoint whose pages did not match their digests out of the store, to the folder `damaged`
   * (`openDamagedCheckpoints`). Safe to repeat.
   */
  setAside(checkpointId: string, note: DamageNote): Promise<void>;
  /** Removes checkpoints that were set aside before this time. Gives their ids. */
  dropDamaged(beforeMs: number): Promise<readonly string[]>;
  /**
   * The path to which a disk without processes is moved, or another disk is copied, to become the layer with this id.
   */
  layerPath(layerId: string): string;
  /**
   * Records size and block digests of a layer that was just put at its path. Safe to repeat. Durable. With `known`, the
   * digests in the form of `digestsOfLayer`, the layer is not read.
   */
  sealLayer(layerId: string, known?: readonly string[]): Promise<void>;
  /** Whether its digests are recorded. */
  isSealedLayer(layerId: string): Promise<boolean>;
  /** Size and block digests of a sealed layer. The empty string stands for a hole. Throws `state_damaged`. */
  digestsOfLayer(layerId: string): Promise<FileDigests>;
  /** Removes a layer that somebody else has too. Does nothing when there is none. */
  removeLayer(layerId: string): Promise<void>;
  /**
   * Checks a layer once in the life of this store. A layer that it sealed itself is not checked. Throws
   * `state_damaged`.
   */
  verifyLayer(layerId: string): Promise<void>;
  /**
   * Merges several layers (topmost first) into one sealed layer with the same visible content, so that chains do not
   * grow endlessly. They must be neighbors in a chain, and stay until they are collected. Takes some seconds for each
   * GiB, in a process of its own. Throws `name_taken`, `state_damaged`, `disk_full`.
   */
  flatten(layerIds: readonly string[], layerId: string): Promise<void>;
  /**
   * Flushes the disk of a paused sandbox and gives its size and digests, which the caller keeps. A disk with more than
   * `maxReadBytes` of data (default 256 MiB) gets its sizes and its stamp instead of digests, so that neither a pause
   * nor a resume waits until it is read. Takes about 15 ms for a fresh disk.
   */
  digestDisk(path: string, maxReadBytes?: number): Promise<DiskDigests>;
  /**
   * Reads a disk of which only the stamp is known, with the lowest priority, and writes its digests to a file beside
   * it. Does nothing when that file exists. Stops when `isWanted`, which is called several times a second, returns
   * false. Takes about a second for each GiB.
   */
  digestInBackground(path: string, disk: StampedDisk, isWanted: () => boolean): Promise<void>;
  /** Throws `state_damaged` when the disk differs from the result of `digestDisk`, or is missing. */
  verifyDisk(path: string, expected: DiskDigests): Promise<void>;
  /**
   * Removes decrypted content that a dead server left in memory. Call it when no restore of that server is in progress.
   */
  sweepClear(): Promise<void>;
  /** Removes clear copies that no restore uses: the host needs its memory. See `reveal`. */
  dropClear(): void;
  /**
   * Garbage-collects checkpoints and layers. `findNeeded` is called after the store has listed them: a caller that
   * names a checkpoint or layer in its records before it makes it cannot lose it to a collection in progress. Layers
   * that a kept checkpoint or an open draft names are kept, too. While a kept checkpoint is unreadable, no layer is
   * removed.
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

/** A checkpoint that is being written. Disposing an unsealed one removes it. */
export interface CheckpointDraft extends AsyncDisposable {
  readonly checkpointId: string;
  /** Empty, mode 0700, in memory. It stays until the draft is disposed. */
  readonly directory: string;
  /** An empty folder in memory for restores from the draft. */
  readonly scratch: string;
  /**
   * Encrypts to the disk while the driver still saves, for the parts to which it only appends, and frees what is
   * encrypted: these parts cannot be read from `directory` any more. A part that is written in another order must not
   * be included. Optional.
   */
  follow(isAppendOnly: (partName: string) => boolean): void;
  /**
   * Encrypts every part, flushes all to the disk and writes the manifest last. Call it once. Throws `disk_full`, and
   * `internal` for layers that `begin` did not get.
   */
  seal(facts: CheckpointFacts): Promise<Checkpoint>;
}

/** A sealed checkpoint. */
export interface Checkpoint {
  readonly checkpointId: string;
  readonly manifest: Manifest;
  /** Undefined: it is from a version that did not encrypt. */
  readonly key: Uint8Array | undefined;
  /** The folder with its parts. A part's file has the name of the part. */
  readonly directory: string;
  /** Bytes that it uses, without its layers. */
  readonly sizeBytes: number;
  /** Some parts are compressed. Call `unpack` before `verify` and before `reveal`. */
  readonly isPacked: boolean;
  /** Reads all parts, or those for which `isMeant` is true, and compares their digests. Throws `state_damaged`. */
  verify(isMeant?: (partName: string) => boolean): Promise<void>;
  /** The decrypted blocks of a part, each checked. Nothing may pack it meanwhile. Throws `state_damaged`. */
  read(partName: string): AsyncGenerator<Buffer>;
  /**
   * Decrypts and checks it for a restore. Returns when all parts without memory are complete. With `isShared`, restores
   * at the same time, and those of the next ten seconds, use one clear copy: for a checkpoint from which several
   * sandboxes are made, without late parts. Default: false. Throws `state_damaged`.
   */
  reveal(kinds: PartKinds, options?: { readonly isShared?: boolean }): Promise<ClearCheckpoint>;
  /** For a driver that checks these parts itself while it reads them. */
  digestsOf(isMeant: (partName: string) => boolean): PartDigests;
}

/** The same type as `BlockDigests` of a driver. */
export interface PartDigests {
  readonly blockBytes: number;
  /**
   * For each block, in order, by part, in hexadecimal: its SHA-256, or nonce and tag if it is encrypted. The last block
   * may be shorter.
   */
  readonly parts: Readonly<Record<string, readonly string[]>>;
  /** Where the encrypted blocks are, and their key in base64. Absent: they are not encrypted. */
  readonly sealed?: { readonly directory: string; readonly key: string; readonly checkpointId: string };
}

/** Which parts contain memory, and which of those a driver decrypts and checks itself. */
export interface PartKinds {
  isMemory(partName: string): boolean;
  isLate(partName: string): boolean;
}

/** The parts of a checkpoint as a driver reads them. Dispose it when the restore has returned. */
export interface ClearCheckpoint extends AsyncDisposable {
  /**
   * The parts. Others may read them, too: nobody writes there. Late ones are empty files of the right size there, if the
   * checkpoint is encrypted.
   */
  readonly directory: string;
  /** An empty folder in memory for what a driver makes of them. */
  readonly scratch: string;
  readonly digests: PartDigests;
  /**
   * Resolves when the parts with memory are complete and checked, except late ones. Nothing may use them before. Rejects
   * with `state_damaged`.
   */
  readonly pagesChecked: Promise<void>;
}
