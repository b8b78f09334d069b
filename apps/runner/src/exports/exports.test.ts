import { randomBytes } from 'node:crypto';
import { readdir, readFile, writeFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createExportKey, openExport, parseManifest, signManifest, writeExport } from '@soulbox/contract/export-file';
import type { ExportManifest, ExportSignature } from '@soulbox/contract/export-file';
import { forkSandbox } from '../operations/copies/fork.ts';
import { makeSnapshot } from '../operations/copies/snapshot.ts';
import type { Tenant } from '../registry/record.ts';
import { createOperationBench } from '../testing/operation-bench.ts';
import type { OperationBench } from '../testing/operation-bench.ts';
import { openTestSeal } from '../testing/test-keys.ts';
import { createExportKeys } from './export-key.ts';
import { exportSource } from './export-source.ts';
import type { ExportRequest } from './export-source.ts';
import { createImports } from './imports.ts';
import type { Imports, ImportRequest } from './imports.ts';

const privateKey = createExportKey();
const mib = 2 ** 20;

let here: OperationBench;
let there: OperationBench;
let imports: Imports;
beforeEach(async () => {
  here = await createOperationBench();
  there = await createOperationBench();
  imports = createImports(there.context, { privateKey: () => Promise.resolve(privateKey), trustedKeys: [] });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await imports[Symbol.asyncDispose]();
  await here[Symbol.asyncDispose]();
  await there[Symbol.asyncDispose]();
});

interface Exported {
  readonly manifest: Uint8Array;
  readonly signature: ExportSignature;
  readonly blocks: readonly Uint8Array[];
}

async function exportFrom(bench: OperationBench, request: ExportRequest, key = privateKey): Promise<Exported> {
  const blocks: Uint8Array[] = [];
  let header: Omit<Exported, 'blocks'> | undefined;
  const left = new AbortController().signal;
  await exportSource(
    bench.context,
    key,
    request,
    async (event) => {
      if ('block' in event) blocks.push(event.block);
      else header = event;
      await Promise.resolve();
    },
    left,
  );
  if (header === undefined) throw new Error('no header');
  return { ...header, blocks };
}

const order = ({ manifest, signature }: Exported, wanted: Partial<ImportRequest> = {}): ImportRequest => ({
  ...{ manifest, signature, snapshotId: 's1', teamId: 'team2', memory: 'if-it-fits' },
  ...wanted,
});

async function takeAll({ manifest, blocks }: Exported, begun: { memoryLeftOut: string | undefined }): Promise<void> {
  const { parts } = parseManifest(manifest);
  const expected =
    begun.memoryLeftOut === undefined
      ? blocks
      : blocks.slice(
          0,
          parts.filter(({ kind }) => kind === 'layer').flatMap(({ data }) => data.flatMap((run) => run[1])).length,
        );
  for (const [index, block] of expected.entries()) await imports.take('s1', index, block);
}

/** Everything that an import may leave on the disk and in records. */
async function tracesOf({ context }: OperationBench): Promise<string[]> {
  await context.references.collect();
  const { dataDirectory } = context.host;
  const folders = await Promise.all(['states', 'layers'].map(async (name) => await readdir(join(dataDirectory, name))));
  return [...folders.flat(), ...context.snapshots.list().map(({ snapshotId }) => snapshotId)];
}

/** A sandbox whose disk has a hole, and blocks that differ. */
async function addSandbox(tenant: Partial<Tenant> = {}) {
  const sandbox = await here.addRunning(tenant);
  const { sandboxId } = sandbox.record;
  const path = here.driver.diskPath(sandboxId, here.context.host.store.directoryOf(sandboxId));
  const disk = Buffer.concat([randomBytes(mib), Buffer.alloc(2 * mib), randomBytes(500)]);
  await writeFile(path, disk);
  return { sandboxId, disk };
}

test('a sandbox is exported with its memory, imported by another server, and sandboxes are made of it', async () => {
  const { sandboxId, disk } = await addSandbox({ envdAccessToken: 'of the source', metadata: { a: 'b' } });
  const exported = await exportFrom(here, { source: { sandboxId }, withMemory: true });
  expect(here.context.table.getRunning(sandboxId).record.state).toBe('running');
  expect(Buffer.from(exported.manifest).toString()).not.toContain('of the source');

  const begun = await imports.begin(order(exported));
  expect(begun).toEqual({ templateId: 'base', memoryLeftOut: undefined });
  await takeAll(exported, begun);
  const snapshot = await imports.finish('s1');
  expect(snapshot).toMatchObject({ hasMemory: true, isEncrypted: true, sandboxId, tenant: { teamId: 'team2' } });
  const [layerId = ''] = snapshot.layers;
  await there.reopenCheckpoints();
  const { checkpoints } = there.context.host;
  await checkpoints.verifyLayer(layerId);
  expect((await readFile(checkpoints.layerPath(layerId))).equals(disk)).toBe(true);
  const checkpoint = await checkpoints.open(snapshot.stateId);
  await checkpoint.verify();
  const pages: Buffer[] = [];
  for await (const block of checkpoint.read('pages-1.img')) pages.push(block);
  expect(Buffer.concat(pages).toString()).toBe(`memory of ${sandboxId}`);

  const [copy] = await forkSandbox(there.context, {
    ...{ source: { snapshotId: 's1' }, count: 1, timeoutSeconds: 60, teamId: 'team2', keyId: '', creationId: '' },
    secure: false,
  });
  expect(copy).toMatchObject({ sandbox: { record: { state: 'running', tenant: { metadata: { a: 'b' } } } } });
  expect(there.roomFor).toEqual([]);
});

test('a snapshot is exported without its memory, and the export has the form of a file', async () => {
  const { sandboxId, disk } = await addSandbox();
  await makeSnapshot(here.context, sandboxId, 'snap1');
  const { manifest, signature, blocks } = await exportFrom(here, {
    source: { snapshotId: 'snap1' },
    withMemory: false,
  });
  const pieces: Uint8Array[] = [];
  async function* source(): AsyncGenerator<Uint8Array> {
    yield* blocks;
    await Promise.resolve();
  }
  for await (const piece of writeExport(manifest, signature, source())) pieces.push(piece);
  // The hole is not in it.
  expect(Buffer.concat(pieces).length).toBeLessThan(mib + 100_000);
  const opened = await openExport(
    (async function* () {
      yield* pieces;
      await Promise.resolve();
    })(),
  );
  expect(opened.manifest).toMatchObject({ source: { kind: 'snapshot', id: 'snap1', sandboxId }, leftOut: [] });
  expect(opened.manifest.memory).toBeUndefined();
  const begun = await imports.begin(order({ manifest, signature, blocks }));
  await takeAll({ manifest, signature, blocks }, begun);
  const { layers, hasMemory } = await imports.finish('s1');
  expect(hasMemory).toBe(false);
  expect((await readFile(there.context.host.checkpoints.layerPath(layers[0] ?? ''))).equals(disk)).toBe(true);
});

test('memory that does not fit is left out with the reason, or refused if it is required', async () => {
  const { sandboxId } = await addSandbox();
  const exported = await exportFrom(here, { source: { sandboxId }, withMemory: true });
  there.driver.readVersion = () => Promise.resolve('stand-in 2');
  await expect(imports.begin(order(exported, { memory: 'required' }))).rejects.toMatchObject({
    reason: 'state_incompatible',
    message: expect.stringContaining('stand-in 2') as string,
  });
  const begun = await imports.begin(order(exported));
  expect(begun.memoryLeftOut).toContain('saved by stand-in 1');
  await takeAll(exported, begun);
  expect(await imports.finish('s1')).toMatchObject({ hasMemory: false });
});

test('what would need a larger manifest than a server reads is not exported', async () => {
  const { sandboxId } = await addSandbox();
  const blocks = 260_000;
  // A real one would have 260 GB.
  vi.spyOn(here.context.host.checkpoints, 'digestsOfLayer').mockResolvedValue({
    ...{ sizeBytes: blocks * mib, digests: new Array<string>(blocks).fill('0'.repeat(64)) },
  });
  await expect(exportFrom(here, { source: { sandboxId }, withMemory: false })).rejects.toMatchObject({
    reason: 'bad_request',
    message: expect.stringContaining('too much data') as string,
  });
});

test('only signatures of this server and of trusted ones are accepted', async () => {
  const { sandboxId } = await addSandbox();
  const foreign = createExportKey();
  const exported = await exportFrom(here, { source: { sandboxId }, withMemory: false }, foreign);
  await expect(imports.begin(order(exported))).rejects.toMatchObject({ reason: 'export_untrusted' });
  const signature = { ...signManifest(exported.manifest, privateKey), signature: exported.signature.signature };
  await expect(imports.begin(order({ ...exported, signature }))).rejects.toMatchObject({ reason: 'export_unusable' });
  await using trusting = createImports(there.context, {
    ...{ privateKey: () => Promise.resolve(privateKey), trustedKeys: [exported.signature.key] },
  });
  await trusting.begin(order(exported));
  await trusting.abandon('s1');
  expect(await tracesOf(there)).toEqual([]);
});

test('the parts of a network policy with secrets are not exported, and the import may connect to nothing', async () => {
  const network = {
    ...{ allowOut: ['api.example'], denyOut: [], maskRequestHost: '' },
    rules: { 'api.example': { headers: { authorization: 'very secret' }, requests: [] } },
  };
  const { sandboxId } = await addSandbox({ network });
  const exported = await exportFrom(here, { source: { sandboxId }, withMemory: false });
  expect(Buffer.from(exported.manifest).toString()).not.toContain('very secret');
  expect(parseManifest(exported.manifest).leftOut).toEqual(['network.rules']);
  await takeAll(exported, await imports.begin(order(exported)));
  expect((await imports.finish('s1')).tenant.network).toMatchObject({ allowInternetAccess: false, allowOut: [] });
});

test.each<[string, (exported: Exported) => Promise<unknown>]>([
  ['an altered block', async ({ blocks }) => await imports.take('s1', 0, Buffer.alloc(blocks[0]?.length ?? 0))],
  ['a shorter block', async ({ blocks }) => await imports.take('s1', 0, (blocks[0] ?? Buffer.alloc(0)).subarray(1))],
  ['a block out of order', async ({ blocks }) => await imports.take('s1', 1, blocks[1] ?? Buffer.alloc(0))],
  [
    'a block too many',
    async (exported) => {
      await takeAll(exported, { memoryLeftOut: undefined });
      await imports.take('s1', exported.blocks.length, Buffer.alloc(1));
    },
  ],
  ['an end before the last block', async () => await imports.finish('s1')],
])('%s ends the import, and nothing is left', async (_what, spoil) => {
  const { sandboxId } = await addSandbox();
  const exported = await exportFrom(here, { source: { sandboxId }, withMemory: true });
  await imports.begin(order(exported));
  await expect(spoil(exported)).rejects.toMatchObject({ reason: 'export_unusable' });
  await expect(imports.finish('s1')).rejects.toMatchObject({ reason: 'snapshot_not_found' });
  expect(await tracesOf(there)).toEqual([]);
  expect(there.roomFor).toEqual([]);
});

test('an import without a sender is removed', async () => {
  const { sandboxId } = await addSandbox();
  const exported = await exportFrom(here, { source: { sandboxId }, withMemory: true });
  await using hasty = createImports(there.context, {
    ...{ privateKey: () => Promise.resolve(privateKey), trustedKeys: [], idleMs: 50 },
  });
  await hasty.begin(order(exported));
  await hasty.take('s1', 0, exported.blocks[0] ?? Buffer.alloc(0));
  await expect.poll(() => there.roomFor, { timeout: 5000 }).toEqual([]);
  expect(await tracesOf(there)).toEqual([]);
});

test('an import whose sender has nothing to send continues while the sender says that it is there', async () => {
  const { sandboxId } = await addSandbox();
  const exported = await exportFrom(here, { source: { sandboxId }, withMemory: false });
  await using hasty = createImports(there.context, {
    ...{ privateKey: () => Promise.resolve(privateKey), trustedKeys: [], idleMs: 500 },
  });
  await hasty.begin(order(exported));
  for (const [index, block] of exported.blocks.entries()) await hasty.take('s1', index, block);
  for (let n = 0; n < 8; n += 1) {
    await setTimeout(100);
    await hasty.take('s1', exported.blocks.length, Buffer.alloc(0));
  }
  expect(await hasty.finish('s1')).toMatchObject({ snapshotId: 's1' });
});

/** Lets the layers of an import be sealed only when `go` is called. */
function holdSealing(): { readonly isSealing: () => boolean; readonly go: () => void } {
  const { checkpoints } = there.context.host;
  const seal = checkpoints.sealLayer.bind(checkpoints);
  const held = Promise.withResolvers<undefined>();
  let isSealing = false;
  vi.spyOn(checkpoints, 'sealLayer').mockImplementation(async (...args) => {
    isSealing = true;
    await held.promise;
    await seal(...args);
  });
  return { isSealing: () => isSealing, go: () => held.resolve(undefined) };
}

test('an import whose layers take long to be sealed is not taken for one without a sender', async () => {
  const { sandboxId } = await addSandbox();
  const exported = await exportFrom(here, { source: { sandboxId }, withMemory: false });
  await using hasty = createImports(there.context, {
    ...{ privateKey: () => Promise.resolve(privateKey), trustedKeys: [], idleMs: 200 },
  });
  await hasty.begin(order(exported));
  for (const [index, block] of exported.blocks.entries()) await hasty.take('s1', index, block);
  const sealing = holdSealing();
  const finished = hasty.finish('s1');
  await setTimeout(400);
  sealing.go();
  expect(await finished).toMatchObject({ snapshotId: 's1' });
  expect(there.context.snapshots.list()).toHaveLength(1);
});

test('an import that is abandoned while it is finished leaves no snapshot', async () => {
  const { sandboxId } = await addSandbox();
  const exported = await exportFrom(here, { source: { sandboxId }, withMemory: false });
  await imports.begin(order(exported));
  await takeAll(exported, { memoryLeftOut: undefined });
  const sealing = holdSealing();
  const finished = imports.finish('s1').catch((error: unknown) => error);
  await expect.poll(sealing.isSealing).toBe(true);
  const abandoned = imports.abandon('s1');
  sealing.go();
  await abandoned;
  expect(await finished).toMatchObject({ reason: 'snapshot_not_found' });
  expect(await tracesOf(there)).toEqual([]);
  expect(there.roomFor).toEqual([]);
});

test('an import that does not fit on the disk is refused before its data', async () => {
  const { sandboxId } = await addSandbox();
  const exported = await exportFrom(here, { source: { sandboxId }, withMemory: false });
  there.noRoomFor = 'The import';
  await expect(imports.begin(order(exported))).rejects.toMatchObject({ reason: 'disk_full' });
  expect(await tracesOf(there)).toEqual([]);
});

test('a disk of 1 TiB with one block of data costs that block, in time and on the disk', async () => {
  const { sandboxId } = await addSandbox();
  const exported = await exportFrom(here, { source: { sandboxId }, withMemory: false });
  const given = parseManifest(exported.manifest);
  const [layer] = given.parts;
  const [first = ''] = layer?.data.flatMap(([, digests]) => digests) ?? [];
  const last = 2 ** 20 - 1;
  const parts = [{ ...layer, sizeBytes: 2 ** 40, data: [[last, [first]]] }];
  const manifest = Buffer.from(JSON.stringify({ ...given, sandbox: { ...given.sandbox, diskMb: 2 ** 20 }, parts }));
  const signature = signManifest(manifest, privateKey);
  const begunAt = performance.now();
  await imports.begin(order({ ...exported, manifest, signature }));
  await imports.take('s1', 0, exported.blocks[0] ?? Buffer.alloc(0));
  const { layers } = await imports.finish('s1');
  expect(performance.now() - begunAt).toBeLessThan(20_000);
  const file = await stat(there.context.host.checkpoints.layerPath(layers[0] ?? ''));
  expect([file.size, file.blocks * 512 < 64 * mib]).toEqual([2 ** 40, true]);
});

test('a signed manifest with other settings than this version knows is refused', async () => {
  const { sandboxId } = await addSandbox();
  const exported = await exportFrom(here, { source: { sandboxId }, withMemory: false });
  const given = JSON.parse(Buffer.from(exported.manifest).toString()) as ExportManifest;
  const manifest = Buffer.from(JSON.stringify({ ...given, settings: { ...(given.settings as object), more: 1 } }));
  const signature = signManifest(manifest, privateKey);
  await expect(imports.begin(order({ ...exported, manifest, signature }))).rejects.toMatchObject({
    reason: 'export_unusable',
  });
});

test('the key of a server is made once, is not readable in its file, and outlives the server', async () => {
  const { dataDirectory } = here.context.host;
  const key = await createExportKeys(dataDirectory, openTestSeal())();
  expect(await createExportKeys(dataDirectory, openTestSeal())()).toBe(key);
  expect(await readFile(join(dataDirectory, 'runner-export-key.json'), 'utf8')).not.toContain('PRIVATE');
});
