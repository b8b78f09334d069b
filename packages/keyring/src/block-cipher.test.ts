import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { openInPlace, openNativeCipher, portableCipher, sealInPlace } from './block-cipher.mjs';
import type { BlockCipher } from './block-cipher.mjs';
import { openBlock, placeOfBlock, sealBlock } from './blocks.ts';

const key = randomBytes(32);
const place = placeOfBlock('s1', 'pages-1.img', 3);
const native = openNativeCipher();
const sizes = [0, 1, 15, 16, 17, 4096, 1024 * 1024];

test("this Node exports OpenSSL's functions", () => {
  expect(native).toBeDefined();
});

test('a Node that does not export them is served by node:crypto', () => {
  const without = (): unknown => ({
    func: () => {
      throw new Error('no such symbol');
    },
  });
  expect(openNativeCipher(without)).toBeUndefined();
});

const ciphers: readonly [string, BlockCipher | undefined, BlockCipher | undefined][] = [
  ['sealed by OpenSSL and opened by node:crypto', native, portableCipher],
  ['sealed by node:crypto and opened by OpenSSL', portableCipher, native],
  ['sealed and opened by OpenSSL', native, native],
];

describe.each(ciphers)('a block that is %s', (_, sealing, opening) => {
  test.each(sizes)('with %d bytes is the same', (size) => {
    const plain = randomBytes(size);
    const block = Buffer.from(plain);
    const seal = sealInPlace(key, place, block, sealing);
    expect(size > 1 && block.equals(plain)).toBe(false);
    expect(openInPlace(key, place, block, seal, opening)).toBe(true);
    expect(block.equals(plain)).toBe(true);
  });

  test('in the middle of a larger memory changes nothing beside it', () => {
    const around = Buffer.alloc(300, 7);
    const seal = sealInPlace(key, place, around.subarray(100, 200), sealing);
    expect(openInPlace(key, place, around.subarray(100, 200), seal, opening)).toBe(true);
    expect(around.equals(Buffer.alloc(300, 7))).toBe(true);
  });

  const flipped = (seal: string, at: number): string =>
    seal.slice(0, at) + (seal[at] === '0' ? '1' : '0') + seal.slice(at + 1);
  test.each<[string, (seal: string, block: Buffer) => [Uint8Array, Uint8Array, string | undefined]]>([
    ['another key', (seal) => [randomBytes(32), place, seal]],
    ['another place', (seal) => [key, placeOfBlock('s1', 'pages-1.img', 4), seal]],
    ['another nonce', (seal) => [key, place, flipped(seal, 0)]],
    ['another tag', (seal) => [key, place, flipped(seal, 55)]],
    [
      'an altered byte',
      (seal, block) => {
        block.writeUInt8(block.readUInt8(2000) ^ 1, 2000);
        return [key, place, seal];
      },
    ],
  ])('does not open with %s, and nothing of it remains', (_what, change) => {
    const block = Buffer.from(randomBytes(4096));
    const seal = sealInPlace(key, place, block, sealing);
    expect(openInPlace(...withBlock(change(seal, block), block), opening)).toBe(false);
    expect(block.equals(Buffer.alloc(4096))).toBe(true);
    // No error is left for the next call of node:crypto.
    expect(openBlock(key, place, sealBlock(key, place, Buffer.from('next')).bytes, seal)).toBeUndefined();
  });
});

function withBlock(
  [usedKey, usedPlace, seal]: [Uint8Array, Uint8Array, string | undefined],
  block: Buffer,
): [Uint8Array, Uint8Array, Buffer, string | undefined] {
  return [usedKey, usedPlace, block, seal];
}

test('a seal of another form opens nothing', () => {
  const { bytes, seal } = sealBlock(key, place, Buffer.from('content'));
  for (const wrong of [undefined, '', seal.slice(2), `${seal}00`, seal.replace(/^../, 'zz')])
    expect(openBlock(key, place, bytes, wrong)).toBeUndefined();
  expect(openBlock(key, place, bytes, seal)?.toString()).toBe('content');
});

test('a key of another length is refused before OpenSSL reads it', () => {
  for (const length of [0, 16, 31, 33]) {
    expect(() => sealInPlace(Buffer.alloc(length), place, Buffer.alloc(16))).toThrow(/length/);
    expect(() => openInPlace(Buffer.alloc(length), place, Buffer.alloc(16), '0'.repeat(56))).toThrow(/length/);
  }
});

test('the same content is never the same twice', () => {
  const twice = [1, 2].map(() => sealBlock(key, place, Buffer.alloc(4096)));
  expect(twice[0]?.seal).not.toBe(twice[1]?.seal);
  expect(twice[0]?.bytes.equals(twice[1]?.bytes ?? Buffer.alloc(0))).toBe(false);
});
