import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import { errorFromUnknown, SoulBoxError } from '@soulbox/base';
import { connectErrorFromError } from '@soulbox/contract/connect-errors';
import {
  createExportKey,
  exportBlockBytes,
  isSigned,
  parseManifest,
  publicExportKey,
  runsFromDigests,
  signManifest,
  writeExport,
} from '@soulbox/contract/export-file';
import type { ExportManifest } from '@soulbox/contract/export-file';
import { SnapshotSchema } from '@soulbox/contract/runner';
import type { BeginImportRequest, ExportResponse, RunnerService, Snapshot } from '@soulbox/contract/runner';

const privateKey = createExportKey();

/** The content of every export: a layer and some memory. */
export const exportedBlocks: readonly Uint8Array[] = [Buffer.alloc(exportBlockBytes, 'layer'), Buffer.from('memory')];

export function exportedManifest(withMemory: boolean, more: Partial<ExportManifest> = {}): Uint8Array {
  const digests = exportedBlocks.map((block) => createHash('sha256').update(block).digest('hex'));
  const layer = { kind: 'layer', name: 'layer-0', sizeBytes: 2 * exportBlockBytes } as const;
  const memory = { kind: 'memory', name: 'pages-1.img', sizeBytes: 6 } as const;
  const manifest: ExportManifest = {
    ...{ version: 1, blockBytes: exportBlockBytes, exportedAt: '2026-11-28T12:00:00.000Z' },
    source: { kind: 'sandbox', id: 'i1', sandboxId: 'i1', createdAt: '2026-11-28T12:00:00.000Z' },
    sandbox: { isolation: 'container', cpuCount: 2, memoryMb: 1024, diskMb: 1024 },
    template: { id: 'tbase', names: ['base'], source: 'test' },
    ...(withMemory ? { memory: { driverVersion: '1', cpuType: '1', envd: '1' } } : {}),
    ...{ settings: {}, leftOut: [] },
    parts: [
      { ...layer, data: runsFromDigests(digests.slice(0, 1)) },
      ...(withMemory ? [{ ...memory, data: runsFromDigests(digests.slice(1)) }] : []),
    ],
    ...more,
  };
  return Buffer.from(JSON.stringify(manifest));
}

const signExported = (manifest: Uint8Array, key = privateKey) => signManifest(manifest, key);

/** The file of an export. */
export async function exportedFile(
  manifest = exportedManifest(false),
  blocks: readonly Uint8Array[] = exportedBlocks.slice(0, 1),
  key = privateKey,
): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  const source = Readable.from(blocks);
  for await (const piece of writeExport(manifest, signExported(manifest, key), source)) pieces.push(piece);
  return new Uint8Array(Buffer.concat(pieces));
}

/** Like the runner, which checks the signature before it parses anything. */
function parseTrusted(header: BeginImportRequest['header']): ExportManifest {
  try {
    const { manifest, key, signature } = header ?? { manifest: new Uint8Array(), key: '', signature: '' };
    if (!isSigned(manifest, { key, signature, manifestBytes: manifest.length }) || key !== publicExportKey(privateKey))
      throw new SoulBoxError('export_untrusted', 'The export was signed with another key.');
    return parseManifest(manifest);
  } catch (error) {
    throw connectErrorFromError(errorFromUnknown(error));
  }
}

interface Host {
  readonly snapshots: Map<string, Snapshot>;
  readonly importsKept: string[];
  readonly failIfTold: () => void;
  readonly hasSource: (id: string) => boolean;
  /** How many blocks an export has beyond its manifest. */
  readonly more: () => number;
}

/** Exports and imports without files. */
export function exportCalls({ snapshots, importsKept, failIfTold, hasSource, more }: Host) {
  const underway = new Map<string, { readonly snapshot: Snapshot; readonly blocks: number; arrived: number }>();
  const fail = (reason: 'export_unusable' | 'sandbox_not_found' | 'snapshot_not_found', message: string): never => {
    throw connectErrorFromError(new SoulBoxError(reason, message));
  };
  const get = (snapshotId: string) => underway.get(snapshotId) ?? fail('snapshot_not_found', 'no such import');
  return {
    async *export({ source, withMemory }) {
      failIfTold();
      if (!hasSource(source.value ?? '')) fail('sandbox_not_found', 'no such source');
      const blocksMore = more();
      const manifest = exportedManifest(withMemory);
      const { key, signature } = signExported(manifest);
      yield { content: { case: 'header', value: { manifest, key, signature } } } as unknown as ExportResponse;
      for (const block of exportedBlocks.slice(0, withMemory ? 2 : 1))
        yield { content: { case: 'block', value: block } } as unknown as ExportResponse;
      for (let n = 0; n < blocksMore; n += 1) {
        await setImmediate();
        yield { content: { case: 'block', value: randomBytes(exportBlockBytes) } } as unknown as ExportResponse;
      }
    },
    beginImport: async ({ snapshotId, teamId, header }) => {
      failIfTold();
      const { source, sandbox, parts } = parseTrusted(header);
      const { isolation, cpuCount, memoryMb, diskMb: diskSizeMb } = sandbox;
      const facts = { snapshotId, teamId, sandboxId: source.sandboxId, templateId: 'tbase', isolation };
      const size = { cpuCount, memoryMb, diskSizeMb, sizeBytes: 4096n, createdAt: timestampFromMs(Date.now()) };
      const blocks = parts.reduce(
        (sum, { data }) => sum + data.reduce((more, [, digests]) => more + digests.length, 0),
        0,
      );
      underway.set(snapshotId, { snapshot: create(SnapshotSchema, { ...facts, ...size }), blocks, arrived: 0 });
      return await Promise.resolve({ templateId: 'tbase', memoryLeftOut: '' });
    },
    importBlock: async ({ snapshotId, index, block }) => {
      const one = get(snapshotId);
      if (block.length === 0) {
        importsKept.push(snapshotId);
        return {};
      }
      if (index !== one.arrived || exportedBlocks[index]?.length !== block.length)
        fail('export_unusable', 'The export file cannot be used: a block of its data is altered.');
      one.arrived += 1;
      return await Promise.resolve({});
    },
    finishImport: async ({ snapshotId }) => {
      const one = get(snapshotId);
      if (one.arrived !== one.blocks) fail('export_unusable', 'The export file cannot be used: it is cut off.');
      underway.delete(snapshotId);
      snapshots.set(snapshotId, one.snapshot);
      return await Promise.resolve({ snapshot: one.snapshot });
    },
    abandonImport: async ({ snapshotId }) => {
      underway.delete(snapshotId);
      return await Promise.resolve({});
    },
  } satisfies Partial<ServiceImpl<typeof RunnerService>>;
}
