/** @module-tag violation */
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { open, parseSealedText, seal, valueMaxBytes } from './sealed-text.ts';
import type { Place } from './place.ts';

const key = randomBytes(32);
const id = randomBytes(16).toString('hex');
const place: Place = { table: 'webhooks', row: 'w1', field: 'secret', team: 't1' };

const reopen = (text: string, { at = place, with: used = key }: { at?: Place; with?: Buffer } = {}) => {
  const parsed = parseSealedText(text);
  return parsed === undefined ? undefined : open(used, parsed, at);
};

it('opens what it sealed, whatever the text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 200 }), (text) => {
      const sealed = seal(key, id, text, place);
      expect(reopen(sealed)).toBe(text);
      expect(parseSealedText(sealed)?.dataKeyId).toBe(id);
    }),
  );
});

it('has the documented format', () => {
  const sealed = seal(key, id, 'value', place);
  expect(sealed).toMatch(/^sb1\.[\w-]+$/);
  const bytes = Buffer.from(sealed.slice(4), 'base64url');
  expect(bytes.subarray(0, 16).toString('hex')).toBe(id);
  expect(bytes).toHaveLength(16 + 12 + 'value'.length + 16);
});

it('opens a text of the first release, so that the format cannot change unnoticed', () => {
  const fixedKey = Buffer.alloc(32, 1);
  const text = 'sb1.ABEiM0RVZneImaq7zN3u_wpfvfCAnlAKPJ3OrgP3V1ibwT4DD3TaDoNQ-6pjet-k-ihlGtb4';
  expect(reopen(text, { with: fixedKey })).toBe('geheim ✓');
});

it('refuses a text in which any bit of any byte was flipped', () => {
  const sealed = seal(key, id, 'a value of some length', place);
  const bytes = Buffer.from(sealed.slice(4), 'base64url');
  for (let n = 0; n < bytes.length; n++)
    for (let bit = 0; bit < 8; bit++) {
      const changed = Buffer.from(bytes);
      changed[n] = (changed[n] ?? 0) ^ (1 << bit);
      expect(reopen(`sb1.${changed.toString('base64url')}`), `byte ${n}, bit ${bit}`).toBeUndefined();
    }
});

it('refuses a text in which any character was replaced, also by another spelling of the same bytes', () => {
  for (const value of ['x', 'xy', 'xyz']) {
    const sealed = seal(key, id, value, place);
    for (let n = 0; n < sealed.length; n++)
      for (const letter of 'AQgw_-=+/ \n.') {
        if (sealed[n] === letter) continue;
        expect(reopen(sealed.slice(0, n) + letter + sealed.slice(n + 1)), `${n} ${letter}`).toBeUndefined();
      }
  }
});

it('refuses a text that was cut or extended at any place', () => {
  const sealed = seal(key, id, 'a value', place);
  for (let n = 0; n < sealed.length; n++) expect(reopen(sealed.slice(0, n))).toBeUndefined();
  for (const more of ['A', '=', 'AAAA', ' ']) expect(reopen(sealed + more)).toBeUndefined();
  expect(reopen(`sb1.${'A'.repeat(4 * 1024 * 1024)}`)).toBeUndefined();
});

it('refuses a text of another version', () => {
  const sealed = seal(key, id, 'a value', place);
  for (const prefix of ['sb2.', 'SB1.', 'sb1', '']) expect(reopen(prefix + sealed.slice(4))).toBeUndefined();
});

it.each<[string, Partial<Place>]>([
  ['table', { table: 'functions' }],
  ['row', { row: 'w2' }],
  ['field', { field: 'name' }],
  ['team', { team: 't2' }],
  ['boundary between two parts', { table: 'webhook', row: 'sw1' }],
])('refuses a text at a place with another %s', (_, change) => {
  expect(reopen(seal(key, id, 'value', place), { at: { ...place, ...change } })).toBeUndefined();
});

it('refuses a text with another key, and with the id of another key', () => {
  const sealed = seal(key, id, 'value', place);
  expect(reopen(sealed, { with: randomBytes(32) })).toBeUndefined();
  const parsed = parseSealedText(sealed);
  if (parsed === undefined) throw new Error('not parsed');
  expect(open(key, { ...parsed, dataKeyId: '0'.repeat(32) }, place)).toBeUndefined();
});

it('never uses a nonce twice', () => {
  const nonces = Array.from({ length: 20_000 }, () =>
    parseSealedText(seal(key, id, '', place))
      ?.bytes.subarray(0, 12)
      .toString('hex'),
  );
  expect(new Set(nonces).size).toBe(nonces.length);
});

it('refuses values that are too large or have no UTF-8 form', () => {
  expect(reopen(seal(key, id, 'x'.repeat(valueMaxBytes), place))).toHaveLength(valueMaxBytes);
  expect(() => seal(key, id, 'x'.repeat(valueMaxBytes + 1), place)).toThrow(/maximum/);
  expect(() => seal(key, id, 'é'.repeat(valueMaxBytes / 2 + 1), place)).toThrow(/maximum/);
  expect(() => seal(key, id, '\ud800', place)).toThrow(/surrogate/);
});
