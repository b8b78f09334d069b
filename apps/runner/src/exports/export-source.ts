import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { SoulBoxError } from '@soulbox/base';
import type { Checkpoint } from '@soulbox/checkpoints';
import {
  exportBlockBytes,
  exportVersion,
  manifestMaxBytes,
  parseManifest,
  runsFromDigests,
  signManifest,
} from '@soulbox/contract/export-file';
import type { ExportManifest, ExportPart, ExportSignature } from '@soulbox/contract/export-file';
import { withSource } from '../operations/copies/with-source.ts';
import type { OperationContext } from '../operations/operation-context.ts';
import { findTemplate } from '../processes/find-template.ts';
import { checkLayers } from '../processes/check-memory.ts';
import type { CopySource } from '../registry/snapshot-store.ts';
import { settingsFromTenant } from './settings.ts';

export interface ExportRequest {
  readonly source: { readonly sandboxId: string } | { readonly snapshotId: string };
  readonly withMemory: boolean;
}

export type ExportEvent =
  | { readonly manifest: Uint8Array; readonly signature: ExportSignature }
  | { readonly block: Uint8Array };

/** Resolves when the reader has taken the event. */
type Emit = (event: ExportEvent) => Promise<void>;

/**
 * Emits the signed manifest, then each block of data. A running sandbox is saved as for a snapshot and continues. What
 * is exported never changes and is held until the end, so a slow reader holds nothing else up. Throws the errors of
 * `withSource`, and `state_damaged`.
 */
export async function exportSource(
  context: OperationContext,
  privateKey: string,
  request: ExportRequest,
  emit: Emit,
  left: AbortSignal,
): Promise<void> {
  await using held = await holdSource(context, request);
  const { source } = held;
  const memory = request.withMemory ? await openMemory(context, source) : undefined;
  await checkLayers(context.host, source.layers);
  const layers = await Promise.all(source.layers.map(async (id, at) => await layerPart(context, id, at)));
  const pages: ExportPart[] = [];
  for (const name of memory === undefined ? [] : Object.keys(memory.manifest.parts).sort())
    pages.push(await memoryPart(memory as Checkpoint, name, left));
  const manifest = await describe(context, held, memory, [...layers, ...pages]);
  const bytes = Buffer.from(JSON.stringify(manifest));
  if (bytes.length > manifestMaxBytes)
    throw new SoulBoxError(
      'bad_request',
      `It has too much data for one file: its manifest would have ${bytes.length} bytes, and at most ${manifestMaxBytes} are allowed.`,
    );
  // What no server would import must not be given to anybody as a file that can be kept.
  parseManifest(bytes);
  await emit({ manifest: bytes, signature: signManifest(bytes, privateKey) });
  for (const [at, layerId] of source.layers.entries())
    await emitLayer(context.host.checkpoints.layerPath(layerId), layers[at], emit, left);
  for (const { name } of pages)
    for await (const block of (memory as Checkpoint).read(name)) {
      left.throwIfAborted();
      await emit({ block });
    }
}

interface HeldSource extends AsyncDisposable {
  readonly source: CopySource;
  readonly origin: ExportManifest['source'];
}

async function holdSource(context: OperationContext, { source: wanted }: ExportRequest): Promise<HeldSource> {
  const { references, snapshots, clock } = context;
  const held = (source: CopySource, origin: HeldSource['origin']): HeldSource => {
    // Its programs would find nothing at these paths on another host.
    if (source.volumes.length > 0)
      throw new SoulBoxError('not_implemented', 'A sandbox that has volumes mounted cannot be exported.');
    const hold = references.hold({ checkpoints: [source.stateId], layers: source.layers });
    return {
      ...{ source, origin },
      async [Symbol.asyncDispose]() {
        hold[Symbol.dispose]();
        await references.collect();
      },
    };
  };
  if ('snapshotId' in wanted) {
    const { sandboxId, createdAtMs, ...source } = snapshots.get(wanted.snapshotId);
    return held(source, { kind: 'snapshot', id: wanted.snapshotId, sandboxId, createdAt: timeText(createdAtMs) });
  }
  const { sandboxId } = wanted;
  return await withSource(context, sandboxId, async ({ source, sealDisk, sealMemory }) => {
    await Promise.all([sealDisk(), sealMemory()]);
    context.events.emit({ kind: 'checkpointed', sandboxId, snapshotId: '' });
    return held(source, { kind: 'sandbox', id: sandboxId, sandboxId, createdAt: timeText(clock.now()) });
  });
}

async function openMemory(
  { host }: OperationContext,
  { stateId, hasMemory, isEncrypted }: CopySource,
): Promise<Checkpoint> {
  if (!hasMemory)
    throw new SoulBoxError('bad_request', 'No memory was saved here, only files. Export it without the memory.');
  const checkpoint = await host.checkpoints.unpack(stateId, (bytes) =>
    host.disks.admit(bytes, 'Unpacking the saved memory'),
  );
  if (isEncrypted === true && checkpoint.key === undefined)
    throw new SoulBoxError('state_damaged', `Checkpoint "${stateId}" was encrypted, but is readable.`);
  return checkpoint;
}

async function layerPart({ host }: OperationContext, layerId: string, at: number): Promise<ExportPart> {
  const { sizeBytes, digests } = await host.checkpoints.digestsOfLayer(layerId);
  return { kind: 'layer', name: `layer-${at}`, sizeBytes, data: runsFromDigests(digests) };
}

/** Reads it once more than the export itself: an encrypted checkpoint has no digests of its clear content. */
async function memoryPart(checkpoint: Checkpoint, name: string, left: AbortSignal): Promise<ExportPart> {
  const digests: string[] = [];
  for await (const block of checkpoint.read(name)) {
    left.throwIfAborted();
    digests.push(createHash('sha256').update(block).digest('hex'));
  }
  const sizeBytes = checkpoint.manifest.parts[name]?.sizeBytes ?? 0;
  return { kind: 'memory', name, sizeBytes, data: runsFromDigests(digests) };
}

async function describe(
  context: OperationContext,
  { source, origin }: HeldSource,
  memory: Checkpoint | undefined,
  parts: ExportPart[],
): Promise<ExportManifest> {
  const template = await findTemplate(context, source.templateId);
  if (template === undefined)
    throw new SoulBoxError('template_not_found', `Template "${source.templateId}" is no longer on this host.`);
  const { driver: isolation, cpuCount, memoryMb, diskMb } = source;
  return {
    version: exportVersion,
    blockBytes: exportBlockBytes,
    exportedAt: timeText(context.clock.now()),
    source: origin,
    sandbox: { isolation, cpuCount, memoryMb, diskMb },
    template: { id: template.templateId, names: template.names, source: template.source },
    ...(memory === undefined ? {} : { memory: memoryFacts(memory, source) }),
    ...settingsFromTenant(source.tenant),
    parts,
  };
}

function memoryFacts({ manifest: { facts } }: Checkpoint, { runtimeName }: CopySource): ExportManifest['memory'] {
  return { driverVersion: facts.driverVersion, cpuType: facts.cpuType, envd: runtimeName };
}

async function emitLayer(path: string, part: ExportPart | undefined, emit: Emit, left: AbortSignal): Promise<void> {
  if (part === undefined) return;
  await using file = await open(path, 'r');
  for (const [first, digests] of part.data)
    for (let block = first; block < first + digests.length; block += 1) {
      left.throwIfAborted();
      const offset = block * exportBlockBytes;
      const length = Math.min(exportBlockBytes, part.sizeBytes - offset);
      const { bytesRead, buffer } = await file.read(Buffer.alloc(length), 0, length, offset);
      if (bytesRead !== length)
        throw new SoulBoxError('state_damaged', `${part.name} is shorter than its digests say.`);
      await emit({ block: buffer });
    }
}

const timeText = (timeMs: number): string => new Date(timeMs).toISOString();
