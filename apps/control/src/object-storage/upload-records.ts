import { createReadStream } from 'node:fs';
import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isNodeError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { checkOwner, createBlobPacks, createParcels, sealedObjects, uploadOnChange } from '@soulbox/vault';
import type { BlobPacks, BlobSource, ChangeLimits, ObjectAccess, Parcels } from '@soulbox/vault';
import { blobListName, blobsKind } from '@soulbox/vault/stored';
import type { AboutControl } from '@soulbox/vault/stored';
import { recordsFileName } from '@soulbox/storage';

export interface RecordUploadOptions {
  readonly access: ObjectAccess;
  readonly serverId: string;
  /** The word of this start of the server: nothing is written before the runner has taken the place over with it. */
  readonly nonce: string;
  readonly keys: { readonly control: Uint8Array; readonly owner: Uint8Array };
  /** The records, and the folder of the secrets beside them. */
  readonly recordsFile: string;
  readonly secretsDirectory: string;
  /** Blobs, with the folders of their files. */
  readonly blobs: readonly (BlobSource & { readonly directory: string })[];
  /** For the copy that is uploaded. Its folder is owned by this process. */
  readonly stageDirectory: string;
  readonly copyRecords: (file: string) => Promise<void>;
  readonly logger: Logger;
  readonly limits?: ChangeLimits;
}

/** Older ones are removed. */
const generationsKept = 3;

/**
 * Uploads the records, the secrets and the blobs of the control plane, some seconds after they have changed. Each upload of
 * the records is a parcel of its own, named by a number that grows, so there is always a complete one. Disposing ends an
 * upload in progress.
 */
export function uploadRecords(options: RecordUploadOptions): AsyncDisposable {
  const { logger, limits } = options;
  const parcels = createParcels(sealedObjects(options.access, options.serverId), options.keys.control);
  const packs = createBlobPacks(parcels, blobsKind, { sources: options.blobs });
  return uploadOnChange({
    ...{ what: 'the records', logger, limits },
    // What was deleted must leave the store in time, also if nothing else happens.
    mark: async () => `${await markOf(options)} ${packs.isDue()}`,
    upload: async (signal) => await uploadOnce(options, { parcels, packs }, signal),
  });
}

/** Another one after each write to the records: SQLite writes to the log beside them first. */
async function markOf({ recordsFile, secretsDirectory, blobs }: RecordUploadOptions): Promise<string> {
  const paths = [recordsFile, `${recordsFile}-wal`, secretsDirectory, ...blobs.map(({ directory }) => directory)];
  const facts = await Promise.all(paths.map(async (path) => await stat(path, { bigint: true }).catch(ignoreMissing)));
  return facts.map((found) => (found === undefined ? '-' : `${found.mtimeNs} ${found.size}`)).join(' ');
}

interface Targets {
  readonly parcels: Parcels;
  readonly packs: BlobPacks;
}

async function uploadOnce(
  options: RecordUploadOptions,
  { parcels, packs }: Targets,
  signal: AbortSignal,
): Promise<void> {
  const { access, serverId, nonce, keys, stageDirectory, secretsDirectory, copyRecords, logger } = options;
  await checkOwner(sealedObjects(access, serverId), nonce, { key: keys.owner, signal });
  const names: string[] = [];
  for await (const name of parcels.list('control', signal)) names.push(name);
  const numbers = names.map((name) => Number(name.slice('control/'.length))).filter(Number.isSafeInteger);
  const number = Math.max(0, ...numbers) + 1;
  // Not `removeTree`, because this process may not start programs. It owns the folder.
  await rm(stageDirectory, { recursive: true, force: true });
  await mkdir(stageDirectory, { mode: 0o700 });
  try {
    const copy = join(stageDirectory, recordsFileName);
    await copyRecords(copy);
    // What the records name is in the store before they are.
    const list = join(stageDirectory, blobListName);
    await writeFile(list, JSON.stringify(await packs.sync(signal)));
    const secrets = (await readdir(secretsDirectory)).sort();
    const paths = [
      { path: recordsFileName, file: copy },
      { path: blobListName, file: list },
      ...secrets.map((name) => ({ path: `secrets/${name}`, file: join(secretsDirectory, name) })),
    ];
    const found = await Promise.all(paths.map(async (one) => ({ ...one, facts: await stat(one.file) })));
    const files = found
      .filter(({ facts, path }) => facts.isFile() && !path.endsWith('.tmp'))
      .map(({ path, file, facts }) => ({ path, file, sizeBytes: facts.size }));
    const about: AboutControl = { format: 1, files: files.map(({ path, sizeBytes }) => ({ path, sizeBytes })) };
    const name = nameOf(number);
    const bytes = await parcels.put(name, contentOf(files), { signal, about });
    logger.debug({ number, bytes }, 'records uploaded to the object store');
  } finally {
    await rm(stageDirectory, { recursive: true, force: true });
  }
  for (const old of numbers.filter((one) => one <= number - generationsKept)) await parcels.remove(nameOf(old), signal);
}

/** So that names have the order of the numbers. */
const nameOf = (number: number): string => `control/${String(number).padStart(12, '0')}`;

/** Throws if a file has another size by now: the next try reads it again. */
async function* contentOf(files: readonly { readonly file: string; readonly sizeBytes: number }[]) {
  for (const { file, sizeBytes } of files) {
    let bytes = 0;
    for await (const chunk of createReadStream(file, { highWaterMark: 1024 * 1024 }) as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      yield chunk;
    }
    if (bytes !== sizeBytes) throw new Error(`${file} changed while it was read`);
  }
}

function ignoreMissing(error: unknown): undefined {
  if (!isNodeError(error) || error.code !== 'ENOENT') throw error;
}
