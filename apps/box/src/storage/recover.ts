import { mkdir, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import {
  errorFromNode,
  errorFromUnknown,
  randomId,
  removeTree,
  run,
  SoulBoxError,
  writeFileAtomic,
} from '@soulbox/base';
import { fileKeyringRecords } from '@soulbox/keyring';
import type { KeyringConfig } from '@soulbox/keyring/config';
import type { EncryptedFolders } from '@soulbox/runner/process';
import type { ObjectStore } from '@soulbox/storage/objects';
import { createParcels, directAccess, findOwner, keyOfRole, sealedObjects } from '@soulbox/vault';
import type { Parcels } from '@soulbox/vault';
import { aboutParcelSchema, dependenciesMark } from '@soulbox/vault/stored';
import type { StoredRecord } from '@soulbox/vault/stored';
import { unpackFlat } from '@soulbox/vault/flat';
import { unpackTree } from '@soulbox/vault/tar';
import { encryptTarget } from '../backup/encrypt-target.ts';
import { emptyFolder, flushFolder, openTarget } from '../backup/folders.ts';
import { incompleteMark, refuseHalfRestored } from '../backup/half-restored.ts';
import { findSavers } from '../backup/plan-parts.ts';
import { findMisfits } from '../backup/restore.ts';
import { runnerKeysFileIn } from '../data-folder.ts';
import { findLost } from './find-lost.ts';
import type { Lost } from './find-lost.ts';
import { isThere, moveInto } from './move-into.ts';
import { inheritStoragePlace } from './place.ts';
import { readBlobs, readDependencies } from './read-blobs.ts';
import { readControl } from './read-control.ts';
import { recoverVolumes } from './recover-volumes.ts';
import type { RecoveredVolume } from './recover-volumes.ts';
import { chooseServer, readRecords, readServerFiles } from './read-server.ts';

export interface RecoverOptions {
  readonly store: ObjectStore;
  readonly storageKey: Uint8Array;
  /** Undefined: the only one in the store. */
  readonly serverId: string | undefined;
  /** Must be missing or empty. */
  readonly dataDirectory: string;
  readonly templatesDirectory: string;
  /**
   * Whether memory, disks, layers and contents of volumes are fetched too. Otherwise the server fetches each when it
   * needs it.
   */
  readonly all: boolean;
  /** The master keys, if the folders with what tenants made are to be encrypted. */
  readonly encryptWith?: KeyringConfig;
  readonly onStep: (text: string) => void;
  readonly signal: AbortSignal;
}

export interface Recovered {
  readonly serverId: string;
  readonly sandboxes: number;
  readonly snapshots: number;
  readonly volumes: readonly RecoveredVolume[];
  readonly lost: readonly Lost[];
  /** What this host may be unable to resume, and volumes that are older than they should be. */
  readonly warnings: readonly string[];
}

/** Of one part. Any other error ends the recovery, which can then be tried again. */
const partErrors: ReadonlySet<string> = new Set(['storage_damaged', 'storage_not_found', 'state_incompatible']);

/**
 * Makes a data folder from what a server has uploaded, on which the next server starts and takes the place of the lost one
 * in the store. Nothing in the store is changed. What cannot be read is lost and named; the rest is recovered. Throws
 * `bad_path` for a folder that is not empty, `storage_damaged` for the wrong key, and the errors of the store: then
 * nothing remains.
 */
export async function recoverFromStore(options: RecoverOptions): Promise<Recovered> {
  const { store, storageKey, dataDirectory, onStep, signal } = options;
  await refuseHalfRestored(dataDirectory);
  await openTarget(dataDirectory);
  const serverId = options.serverId ?? (await chooseServer(store, signal));
  const objects = sealedObjects(directAccess(store), serverId);
  const [runner, control] = [keyOfRole(storageKey, 'runner'), keyOfRole(storageKey, 'control')];
  const [volumes, ofOwner] = [keyOfRole(storageKey, 'volumes'), keyOfRole(storageKey, 'owner')];
  const owner = await findOwner(objects, { key: ofOwner, signal });
  if (owner === undefined)
    throw new SoulBoxError(
      'storage_not_found',
      `No server with the id ${serverId} has uploaded anything to this store.`,
    );
  const keyWarnings: string[] = [];
  const logger = { warn: (_: object, message: string) => void keyWarnings.push(`${message}.`) };
  let encrypted: EncryptedFolders | undefined;
  try {
    await writeFileAtomic(join(dataDirectory, incompleteMark), '', { durable: true });
    for (const name of ['templates', 'runtime', 'sandboxes', 'snapshots', 'states', 'layers'])
      await mkdir(join(dataDirectory, name), { recursive: true, mode: 0o700 });
    onStep('keys and records');
    const { files, cpuType } = await readServerFiles(objects, { key: runner, signal });
    for (const [name, text] of Object.entries(files)) await writePrivate(join(dataDirectory, name), text);
    // The kernel would keep one key for this folder and the lost one.
    await fileKeyringRecords(runnerKeysFileIn(dataDirectory)).removeDiskKey();
    const ofControl = createParcels(objects, control);
    await readControl(ofControl, dataDirectory, signal);
    if (options.encryptWith !== undefined)
      encrypted = await encryptTarget(dataDirectory, [], { config: options.encryptWith, logger });
    onStep('uploads and data of functions');
    const lostBlobs = await readBlobs(ofControl, dataDirectory, signal);
    const records = await readRecords(objects, { key: runner, signal });
    const parcels = createParcels(objects, runner);
    const fetching = { ...options, encrypted };
    const { whole, damaged } = options.all
      ? await fetchAll(parcels, records, fetching)
      : await findAll(parcels, records, fetching);
    if (options.all) await readDependencies(parcels, dataDirectory, signal);
    else await writePrivate(join(dataDirectory, dependenciesMark), '');
    for (const { what, id, text } of whole)
      await writePrivate(join(dataDirectory, `${folderOf[what]}/${id}.json`), text);
    const lost = [...damaged, ...(await findLost(dataDirectory, [...whole, ...damaged])), ...lostBlobs];
    const fetched = await recoverVolumes({ ...options, fetchesBlocks: options.all, objects, key: volumes });
    // Their service has a word of its own, perhaps of an earlier start.
    const ofVolumes = await findOwner(objects, { key: volumes, name: 'volumes/owner', signal });
    const nonces = ofVolumes === undefined ? [owner.nonce] : [...new Set([ofVolumes.nonce, owner.nonce])];
    await inheritStoragePlace(dataDirectory, serverId, nonces);
    onStep('writing it to the disk');
    await run('sync', ['--file-system', dataDirectory], { timeoutMs: 600_000 });
    const misfits = await findMisfits({ cpuType, savers: await findSavers(dataDirectory) });
    await rm(join(dataDirectory, incompleteMark));
    await flushFolder(dataDirectory);
    await encrypted?.lock();
    const count = (kind: StoredRecord['what']): number => whole.filter(({ what }) => what === kind).length;
    return {
      ...{ serverId, sandboxes: count('sandbox'), snapshots: count('snapshot'), volumes: fetched.volumes },
      ...{ lost: [...lost, ...fetched.lost], warnings: [...keyWarnings, ...misfits, ...fetched.warnings] },
    };
  } catch (error) {
    await encrypted?.lock();
    await emptyFolder(dataDirectory);
    signal.throwIfAborted();
    throw errorFromNode(error, `The data folder ${dataDirectory} could not be recovered.`);
  }
}

const folderOf = { sandbox: 'sandboxes', snapshot: 'snapshots' } as const;

async function writePrivate(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeFile(path, text, { mode: 0o600 });
}

interface FetchOptions extends RecoverOptions {
  readonly encrypted: EncryptedFolders | undefined;
}

interface Fetched {
  readonly whole: readonly StoredRecord[];
  readonly damaged: readonly Lost[];
}

/**
 * Looks whether everything that the records need is in the store. Only templates are fetched: a server that lacks its
 * default template makes another one when it starts, which takes minutes and the network.
 */
async function findAll(
  parcels: Parcels,
  records: readonly (StoredRecord | Lost)[],
  options: FetchOptions,
): Promise<Fetched> {
  const present = new Set<string>();
  for await (const name of parcels.list(undefined, options.signal)) present.add(name);
  const needed = new Set(records.flatMap((record) => ('reason' in record ? [] : record.parcels)));
  for (const name of [...needed].filter((one) => one.startsWith('templates/'))) {
    options.onStep(name);
    const fault = await fetchParcel(parcels, name, options);
    if (fault !== undefined) present.delete(name);
  }
  const lost = (record: StoredRecord | Lost): Lost | undefined => {
    if ('reason' in record) return record;
    const { what, id } = record;
    const name = record.parcels.find((one) => !present.has(one));
    return name === undefined ? undefined : { what, id, reason: `${name} is not in the store any more.` };
  };
  return {
    whole: records.filter((record) => lost(record) === undefined) as StoredRecord[],
    damaged: records.map(lost).filter((one) => one !== undefined),
  };
}

/** Parcels are shared, so each is fetched once, and one that cannot be read is the loss of all that need it. */
async function fetchAll(
  parcels: Parcels,
  records: readonly (StoredRecord | Lost)[],
  options: FetchOptions,
): Promise<Fetched> {
  const outcomes = new Map<string, string | undefined>();
  const whole: StoredRecord[] = [];
  const damaged: Lost[] = [];
  for (const [index, record] of records.entries()) {
    if ('reason' in record) {
      damaged.push(record);
      continue;
    }
    const { what, id } = record;
    options.onStep(`${index + 1} of ${records.length}: ${what} ${id}`);
    for (const name of record.parcels)
      if (!outcomes.has(name)) outcomes.set(name, await fetchParcel(parcels, name, options));
    const reason = record.parcels.map((name) => outcomes.get(name)).find((fault) => fault !== undefined);
    if (reason === undefined) whole.push(record);
    else damaged.push({ what, id, reason });
  }
  return { whole, damaged };
}

/** Returns why it cannot be used, or undefined. */
async function fetchParcel(parcels: Parcels, name: string, options: FetchOptions): Promise<string | undefined> {
  const { dataDirectory, templatesDirectory, signal } = options;
  const draft = join(name.startsWith('templates/') ? templatesDirectory : dataDirectory, `.fetched-${randomId(8)}`);
  try {
    const parcel = await parcels.open(name, signal);
    if (parcel === undefined) return `${name} is not in the store any more.`;
    const { into, compresses, headBytes } = aboutParcelSchema.parse(parcel.about);
    const place = into === 'templates' ? templatesDirectory : join(dataDirectory, into);
    // Several servers can share the folder of templates.
    if (into === 'templates' && (await isThere(join(place, basename(name))))) return undefined;
    await mkdir(draft, { recursive: true, mode: 0o700 });
    // A file can only be renamed into an encrypted folder from one. Templates outside belong to several servers.
    if (/^(?:layers|disks|templates)\//.test(name) && draft.startsWith(dataDirectory))
      options.encrypted?.encrypt(draft);
    if (headBytes === undefined) await unpackTree(draft, parcel.content(), { signal, compresses });
    else await unpackFlat(draft, headBytes, parcel.content());
    await moveInto(draft, place);
    return undefined;
  } catch (thrown) {
    const { reason, message } = errorFromUnknown(thrown);
    if (partErrors.has(reason)) return message;
    throw thrown;
  } finally {
    await removeTree(draft);
  }
}
