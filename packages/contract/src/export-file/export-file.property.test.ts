/** @module-tag violation */
import { createHash, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SoulBoxError } from '@soulbox/base';
import {
  createExportKey,
  dataBytesOf,
  digestsFromRuns,
  exportBlockBytes,
  isIntact,
  isSigned,
  openExport,
  parseManifest,
  publicExportKey,
  runsFromDigests,
  signManifest,
  writeExport,
} from './index.ts';
import type { ExportManifest, ExportPart } from './index.ts';

const privateKey = createExportKey();
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** The last block of a part may be shorter. */
const blocks = [randomBytes(exportBlockBytes), Buffer.alloc(3000, 'abc'), randomBytes(500)];
const parts: ExportPart[] = [
  {
    kind: 'layer',
    name: 'layer-0',
    sizeBytes: 5 * exportBlockBytes + 3000,
    data: runsFromDigests(['', sha256(blocks[0] as Buffer), '', '', '', sha256(blocks[1] as Buffer)]),
  },
  { kind: 'memory', name: 'pages-1.img', sizeBytes: 500, data: [[0, [sha256(blocks[2] as Buffer)]]] },
];
const manifest: ExportManifest = {
  version: 1,
  blockBytes: exportBlockBytes,
  exportedAt: '2026-11-28T12:00:00.000Z',
  source: { kind: 'snapshot', id: 's1', sandboxId: 'i1', createdAt: '2026-11-28T11:00:00.000Z' },
  sandbox: { isolation: 'container', cpuCount: 2, memoryMb: 512, diskMb: 1024 },
  template: { id: 't'.repeat(20), names: ['base'], source: 'debian:trixie/3' },
  memory: { driverVersion: 'criu 4.2.1', cpuType: 'x', envd: 'y' },
  settings: { anything: true },
  leftOut: [],
  parts,
};
test('runs have the digests from which they were made', () => {
  expect(digestsFromRuns(parts[0] as ExportPart)).toEqual([
    '',
    sha256(blocks[0] as Buffer),
    '',
    '',
    '',
    sha256(blocks[1] as Buffer),
  ]);
});

const text = (value: object): Buffer => Buffer.from(JSON.stringify(value));

async function fileOf(given: object = manifest, content: readonly Uint8Array[] = blocks): Promise<Buffer> {
  const bytes = text(given);
  const pieces: Uint8Array[] = [];
  async function* source(): AsyncGenerator<Uint8Array> {
    yield* content;
    await Promise.resolve();
  }
  for await (const piece of writeExport(bytes, signManifest(bytes, privateKey), source())) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** Everything of a file, with all checks that a receiver makes. */
async function readAll(file: Uint8Array, pieceBytes = 10_000): Promise<Buffer[]> {
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < file.length; at += pieceBytes) yield file.subarray(at, at + pieceBytes);
    await Promise.resolve();
  }
  const opened = await openExport(pieces());
  if (!isSigned(opened.manifestBytes, opened.signature) || opened.signature.key !== publicExportKey(privateKey))
    throw new SoulBoxError('export_untrusted', 'not signed');
  const read: Buffer[] = [];
  for await (const block of opened.blocks()) {
    if (!(await isIntact(block))) throw new SoulBoxError('export_unusable', 'altered');
    read.push(Buffer.from(block.bytes));
  }
  return read;
}

const refused = { reason: expect.stringMatching(/^export_/) as string };

test('a file has one frame of zstd, which every cut of the stream can read', async () => {
  const file = await fileOf();
  const magic = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
  // Random data can have it too, but not within the last 13 bytes, where an empty frame would be.
  expect(file.lastIndexOf(magic)).toBeLessThan(file.length - 13);
  for (let cut = 1; cut < 20; cut += 1) await readAll(file, file.length - cut);
});

test('a file that is read in pieces of any size has the blocks that were written', async () => {
  const file = await fileOf();
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 500, max: 2_000_000 }), async (pieceBytes) => {
      const read = await readAll(file, pieceBytes);
      expect(read.map(sha256)).toEqual(blocks.map(sha256));
    }),
    { numRuns: 20 },
  );
  expect(dataBytesOf(manifest)).toBe(exportBlockBytes + 3500);
});

/** A reader sees a fault, or everything that was written. */
async function expectFaultOrAll(file: Uint8Array): Promise<void> {
  const outcome = await readAll(file).catch((error: unknown) => error);
  if (outcome instanceof Error) expect(outcome).toMatchObject(refused);
  else expect((outcome as Buffer[]).map(sha256)).toEqual(blocks.map(sha256));
}

test('a file that is cut off anywhere is refused, unless it lacks only the end mark of the compression', async () => {
  const file = await fileOf();
  await expect(readAll(file.subarray(0, file.length - 100))).rejects.toMatchObject(refused);
  const [early, late] = [
    fc.integer({ min: 0, max: 2000 }),
    fc.integer({ min: file.length - 2000, max: file.length - 1 }),
  ];
  await fc.assert(
    fc.asyncProperty(fc.oneof(early, late, fc.integer({ min: 0, max: file.length - 1 })), async (length) => {
      await expectFaultOrAll(file.subarray(0, length));
    }),
    { numRuns: 100 },
  );
});

test('a file with another byte anywhere is refused, or has the same content', async () => {
  const file = await fileOf();
  const position = fc.oneof(fc.integer({ min: 0, max: 2500 }), fc.integer({ min: 0, max: file.length - 1 }));
  await fc.assert(
    fc.asyncProperty(position, fc.integer({ min: 1, max: 255 }), async (at, change) => {
      const altered = Buffer.from(file);
      altered[at] = (altered[at] ?? 0) ^ change;
      await expectFaultOrAll(altered);
    }),
    { numRuns: 100 },
  );
});

test('a file with more data than its manifest says is refused before the rest is unpacked', async () => {
  const bomb = await fileOf(manifest, [...blocks, ...new Array<Buffer>(64).fill(Buffer.alloc(exportBlockBytes))]);
  await expect(readAll(bomb)).rejects.toMatchObject(refused);
});

test.each<[string, object]>([
  ['another version', { ...manifest, version: 2 }],
  ['an unknown field', { ...manifest, other: 1 }],
  ['a part with a path as its name', { ...manifest, parts: [{ ...parts[0], name: '../../etc/passwd' }] }],
  ['two parts with one name', { ...manifest, parts: [parts[0], parts[0]] }],
  ['memory before layers', { ...manifest, parts: [parts[1], parts[0]] }],
  ['a layer larger than its disk', { ...manifest, parts: [{ ...parts[0], sizeBytes: 2 ** 40, data: [] }] }],
  ['a disk larger than any', { ...manifest, sandbox: { ...manifest.sandbox, diskMb: 2 ** 30 } }],
  ['a block behind the end', { ...manifest, parts: [{ ...parts[0], data: [[6, ['0'.repeat(64)]]] }] }],
  [
    'blocks out of order',
    {
      ...manifest,
      parts: [
        {
          ...parts[0],
          data: [
            [2, ['0'.repeat(64)]],
            [1, ['0'.repeat(64)]],
          ],
        },
      ],
    },
  ],
  ['memory without a description', { ...manifest, memory: undefined }],
  [
    'control characters in the source of its template',
    { ...manifest, template: { ...manifest.template, source: '\u001b]0;x' } },
  ],
  ['control characters in what is left out', { ...manifest, leftOut: ['a\nb'] }],
  ['a name that changes the direction of text', { ...manifest, template: { ...manifest.template, names: ['\u202e'] } }],
  ['no layers', { ...manifest, parts: [parts[1]] }],
  ['memory with a hole', { ...manifest, parts: [parts[0], { ...parts[1], data: [] }] }],
  ['more memory than the sandbox has', { ...manifest, parts: [parts[0], { ...parts[1], sizeBytes: 2 ** 40 }] }],
])('a manifest with %s is refused', (_what, given) => {
  expect(() => parseManifest(text(given))).toThrow(expect.objectContaining(refused));
});

test.each<[string, (zeros: string) => string]>([
  ['parts', (zeros) => JSON.stringify({ ...manifest, parts: zeros })],
  ['runs', (zeros) => JSON.stringify({ ...manifest, parts: [{ ...parts[0], data: zeros }] })],
  ['digests', (zeros) => JSON.stringify({ ...manifest, parts: [{ ...parts[0], data: [[0, zeros]] }] })],
  ['names', (zeros) => JSON.stringify({ ...manifest, template: { ...manifest.template, names: zeros } })],
])('a manifest with millions of wrong %s is refused at once', (_what, write) => {
  const bytes = Buffer.from(write('zeros').replace('"zeros"', `[${'0,'.repeat(7_999_999)}0]`));
  const begun = performance.now();
  expect(() => parseManifest(bytes)).toThrow(expect.objectContaining(refused));
  // Most of it is JSON.parse. With a fault for each zero it ends with a stack overflow, after half a minute.
  expect(performance.now() - begun).toBeLessThan(5000);
});

test('a signature is only for its manifest and its key', () => {
  const bytes = text(manifest);
  const signature = signManifest(bytes, privateKey);
  expect(isSigned(bytes, signature)).toBe(true);
  expect(isSigned(text({ ...manifest, leftOut: ['x'] }), { ...signature })).toBe(false);
  expect(isSigned(bytes, { ...signature, key: publicExportKey(createExportKey()) })).toBe(false);
  expect(isSigned(bytes, { ...signature, key: 'A'.repeat(43) })).toBe(false);
});
