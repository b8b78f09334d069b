import { open, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorFromUnknown, removeTree, SoulBoxError } from '@soulbox/base';
import { cutContent } from '@soulbox/vault';
import type { OpenParcel, Parcels } from '@soulbox/vault';
import { aboutControlSchema } from '@soulbox/vault/stored';

/**
 * Writes the newest complete copy of the records and of the secrets. An older one takes the place of one that is damaged:
 * the server corrects the difference when it starts. Throws `storage_not_found` if there is none.
 */
export async function readControl(parcels: Parcels, dataDirectory: string, signal: AbortSignal): Promise<void> {
  const names: string[] = [];
  for await (const name of parcels.list('control', signal)) names.push(name);
  let failure: SoulBoxError | undefined;
  for (const name of names.sort().reverse()) {
    try {
      const parcel = await parcels.open(name, signal);
      if (parcel === undefined) continue;
      await writeFiles(parcel, dataDirectory);
      return;
    } catch (thrown) {
      failure = errorFromUnknown(thrown);
      if (failure.reason !== 'storage_damaged') throw thrown;
    }
  }
  if (failure !== undefined) throw failure;
  throw new SoulBoxError('storage_not_found', 'The server was lost before it had uploaded its records.');
}

async function writeFiles(parcel: OpenParcel, dataDirectory: string): Promise<void> {
  const { files } = aboutControlSchema.parse(parcel.about);
  if (files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) !== parcel.sizeBytes)
    throw new SoulBoxError('storage_damaged', 'The list of files of the records does not fit their size.');
  const content = cutContent(parcel.content());
  for (const { path, sizeBytes } of files) {
    const target = join(dataDirectory, path);
    await removeTree(target);
    await mkdir(dirname(target), { recursive: true, mode: 0o700 });
    await using file = await open(target, 'wx', 0o600);
    for await (const piece of content.next(sizeBytes)) await file.writeFile(piece);
  }
}
