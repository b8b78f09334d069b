import { randomId, SoulBoxError, removeTree } from '@soulbox/base';
import { lstat, mkdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { AboutParcel } from '@soulbox/vault/stored';
import { encodeHead, flatChunkBytes, listFlat, packFlat } from '@soulbox/vault/flat';
import { packTree } from '@soulbox/vault/tar';
import type { TreeSource } from '@soulbox/vault/tar';
import type { OperationContext } from '../operations/operation-context.ts';
import { digestInBackground } from '../processes/sandbox-disk.ts';
import { bundleDirectoryOf, getDriver } from '../processes/sandbox-host.ts';
import type { Unit } from './unit.ts';

/** What a parcel is made of. Disposing removes what was prepared for it. */
export interface ParcelSource extends AsyncDisposable {
  content(signal: AbortSignal): AsyncGenerator<Buffer>;
  readonly about: AboutParcel;
  /** Absent: the usual size. */
  readonly chunkBytes?: number;
  /** Throws if the tree has changed since it was opened. */
  readonly check: () => Promise<void>;
}

type SourceContext = Pick<OperationContext, 'host' | 'templates'>;

/** On the file system of the data folder. It has links to what is being uploaded. */
export const uploadStageIn = (dataDirectory: string): string => join(dataDirectory, 'upload-stage');

/** Opens the files of a parcel. Throws the errors of a checkpoint. */
export async function openParcelSource(
  context: SourceContext,
  unit: Unit,
  parcel: string,
  signal: AbortSignal,
): Promise<ParcelSource> {
  const [kind = '', id = ''] = parcel.split('/');
  const { dataDirectory, checkpoints } = context.host;
  switch (kind) {
    case 'states':
      return await linked(
        dataDirectory,
        async (stage) => await checkpoints.linkInto(stage, [id], []),
        async (stage) => await flatTree(stage, [`states/${id}`, ...(await archiveIn(stage))]),
      );
    case 'layers':
      return await linked(
        dataDirectory,
        async (stage) => await checkpoints.linkInto(stage, [], [id]),
        (stage) => tree({ directory: stage, names: ['layers'] }, '.'),
      );
    case 'disks':
      return await ownDisk(context, unit, signal);
    case 'templates':
      return folder(await templateFolder(context, id), 'templates');
    case 'runtimes':
      return folder(bundleDirectoryOf(context.host, id), 'runtime');
    default:
      throw new Error(`there are no parcels of the kind ${kind}`);
  }
}

type Packed = Omit<ParcelSource, 'check' | typeof Symbol.asyncDispose>;

const nothing = async (): Promise<void> => await Promise.resolve();

function tree(source: TreeSource, into: AboutParcel['into']): Packed {
  return {
    content: (signal) => packTree(source, { signal, compresses: true, isBehind: true }),
    about: { into, compresses: true },
  };
}

/** Saved memory is encrypted, so it cannot be compressed; its blocks are fetched one by one by a lazy resume. */
async function flatTree(directory: string, names: readonly string[]): Promise<Packed> {
  const head = await listFlat(directory, names);
  return {
    content: (signal) => packFlat(directory, head, signal),
    about: { into: '.', compresses: false, headBytes: encodeHead(head).length },
    chunkBytes: flatChunkBytes,
  };
}

/** Packed parts of a checkpoint are in a folder of their own. */
async function archiveIn(stage: string): Promise<string[]> {
  return (await lstat(join(stage, 'archive')).catch(() => undefined)) === undefined ? [] : ['archive'];
}

/** Nothing can change what a link leads to, also if it is packed or removed meanwhile. */
async function linked(
  dataDirectory: string,
  link: (stage: string) => Promise<void>,
  pack: (stage: string) => Packed | Promise<Packed>,
): Promise<ParcelSource> {
  const stage = join(uploadStageIn(dataDirectory), randomId(12));
  const remove = async (): Promise<void> => await removeTree(stage);
  await mkdir(stage, { recursive: true, mode: 0o700 });
  try {
    await link(stage);
    return { ...(await pack(stage)), check: nothing, [Symbol.asyncDispose]: remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** The disk stays in the folder of its sandbox, and a resume changes it. */
async function ownDisk({ host }: SourceContext, { source }: Unit, signal: AbortSignal): Promise<ParcelSource> {
  if (source.what !== 'sandbox') throw new Error('only a sandbox has a disk of its own');
  const { record } = source;
  const { sandboxId, driver, saved } = record;
  if (saved?.disk === undefined) throw new Error('the disk of the sandbox has no digests yet');
  // Without digests, a copy of a large disk cannot be told from a damaged one.
  if (saved.disk.checked === 'stamp') await digestInBackground(host, record, saved.disk, () => !signal.aborted);
  signal.throwIfAborted();
  const path = getDriver(host, driver).diskPath(sandboxId, host.store.directoryOf(sandboxId));
  const before = await stampOf(path);
  return {
    ...tree({ directory: host.dataDirectory, names: [`sandboxes/${sandboxId}`] }, '.'),
    async check() {
      if ((await stampOf(path)) !== before)
        throw new SoulBoxError('illegal_transition', 'The disk of the sandbox changed while it was uploaded.');
    },
    [Symbol.asyncDispose]: nothing,
  };
}

async function stampOf(path: string): Promise<string> {
  const { ino, size, mtimeNs, ctimeNs } = await lstat(path, { bigint: true });
  return [ino, size, mtimeNs, ctimeNs].join(' ');
}

async function templateFolder({ templates }: SourceContext, templateId: string): Promise<string> {
  const template = await templates.find(templateId);
  if (template !== undefined) return dirname(template.rootfs);
  throw new SoulBoxError('template_not_found', `Template "${templateId}" is no longer on this host.`);
}

function folder(path: string, into: 'templates' | 'runtime'): ParcelSource {
  const source = { directory: dirname(path), names: [basename(path)] };
  return { ...tree(source, into), check: nothing, [Symbol.asyncDispose]: nothing };
}
