import { mkdtemp, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { integerOf, parseMessage, splitImage, varint } from '../pager/image-file.ts';
import { leaveLargeMappingsUnreserved, markLargeMappings } from './large-mappings.ts';

const [small, large] = [2 ** 20, 2 ** 42];
const [shared, privately, unreserved] = [0x21, 0x22, 0x4022];

function mapping(start: number, bytes: number, flags: number): number[] {
  const fields = [start, start + bytes, 0, 0, 3, flags, 0x209];
  const message = fields.flatMap((value, index) => [(index + 1) << 3, ...varint(value)]);
  return [(14 << 3) | 2, ...varint(message.length), ...message];
}

function image(...mappings: number[][]): Buffer {
  const message = [1 << 3, 1, ...mappings.flat(), 15 << 3, 1];
  const header = Buffer.alloc(12);
  header.writeUInt32LE(0x54564319, 0);
  header.writeUInt32LE(0x57492820, 4);
  header.writeUInt32LE(message.length, 8);
  return Buffer.concat([header, Buffer.from(message)]);
}

/** Flags of each mapping in the image. */
function flagsOf(bytes: Buffer): number[] {
  const memory = parseMessage(splitImage(bytes, 'mm', 'test')[0] ?? Buffer.alloc(0));
  expect(integerOf(memory, 15, 0)).toBe(1);
  return (memory.get(14) ?? []).map((each) => integerOf(parseMessage(each as Uint8Array), 6, 0));
}

test('large private mappings get the mark; all others stay unchanged', () => {
  const mappings: [number, number][] = [
    [small, privately],
    [large, privately],
    [large, shared],
    [large, unreserved],
    [large, privately],
  ];
  const saved = image(...mappings.map(([bytes, flags], index) => mapping(index * 2 ** 43, bytes, flags)));
  const marked = markLargeMappings(saved, 'test');
  expect(flagsOf(saved)).toEqual([privately, privately, shared, unreserved, privately]);
  expect(flagsOf(marked)).toEqual([privately, unreserved, shared, unreserved, unreserved]);
  expect(markLargeMappings(marked, 'test')).toBe(marked);
});

test('a mapping is large by its length, at any address', () => {
  const gib = 2 ** 30;
  const lengths = [gib, gib + 4096];
  const saved = image(...lengths.map((bytes, index) => mapping(2 ** 46 + index * 2 ** 32, bytes, privately)));
  expect(flagsOf(markLargeMappings(saved, 'test'))).toEqual([privately, unreserved]);
});

test('an image without large mappings is not changed', () => {
  const saved = image(mapping(4096, small, privately));
  expect(markLargeMappings(saved, 'test')).toBe(saved);
  expect(markLargeMappings(image(), 'test')).toEqual(image());
  const noMessage = saved.subarray(0, 8);
  expect(markLargeMappings(noMessage, 'test')).toBe(noMessage);
});

test('a mapping encoded as a number instead of a message is refused, with the name of the image', () => {
  expect(() => markLargeMappings(image([14 << 3, 1]), 'mm-7.img')).toThrow('mm-7.img has a mapping that is a number');
});

test('in a saved memory the mappings of every process are marked, and no other file is changed', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'soulbox-mappings-'));
  const [withLarge, withoutLarge] = [image(mapping(4096, large, privately)), image(mapping(4096, small, privately))];
  const files = {
    ...{ 'mm-1.img': withLarge, 'mm-4711.img': withLarge, 'mm-2.img': withoutLarge },
    // Files that CRIU does not read.
    ...{ 'mm-1.img.old': withLarge, 'old-mm-1.img': withLarge, 'mm-x.img': withLarge, 'core-1.img': Buffer.from('x') },
  };
  for (const [name, bytes] of Object.entries(files)) {
    await writeFile(join(directory, name), bytes);
    await utimes(join(directory, name), 1, 1);
  }
  await leaveLargeMappingsUnreserved(directory);
  const written: string[] = [];
  for (const [name, bytes] of Object.entries(files)) {
    const now = await readFile(join(directory, name));
    if ((await stat(join(directory, name))).mtimeMs !== 1000) written.push(name);
    if (written.includes(name)) expect(flagsOf(now), name).toEqual([unreserved]);
    else expect(now.equals(bytes), name).toBe(true);
  }
  expect(written).toEqual(['mm-1.img', 'mm-4711.img']);
  await rm(directory, { recursive: true });
});

test.each([0, 7, 11, 40])('an image truncated after %i bytes is refused', (length) => {
  const saved = image(mapping(4096, large, privately), mapping(2 ** 43, large, privately)).subarray(0, length);
  expect(() => markLargeMappings(saved, 'test')).toThrow();
});
