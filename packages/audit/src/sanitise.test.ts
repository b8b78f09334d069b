/** @module-tag violation */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { passesLuhn, passesMod97 } from './rules/checked-numbers.ts';
import { leafOf } from './record.ts';
import type { AuditDraft } from './record.ts';
import { removed, sanitise } from './sanitise.ts';
import { sanitiseText, textCharsMax } from './sanitise-text.ts';
import { ordinary } from './testing/pii-corpus.ts';
import { draftOf, positionOf } from './testing/test-log.ts';

/** Values that must never be stored, by what they are. Made up; numbers have right checksums. */
const planted: Readonly<Record<string, readonly string[]>> = {
  token: [
    `e2b_${'0123456789abcdef'.repeat(3).slice(0, 40)}`,
    'sk-proj-abcdefghijklmnopqrstuvwx',
    'sk_live_abcdefghijklmnop1234',
    `ghp_${'a1B2'.repeat(9)}`,
    'github_pat_11ABCDEFG0123456789_abcdef',
    'glpat-abcdefghij1234567890',
    'xoxb-1234567890-abcdefghijkl',
    'AKIAIOSFODNN7ABCDEFG',
    'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl',
    'Bearer abcdefgh12345678',
    'Authorization: Basic dXNlcjpwYXNz',
    'postgres://user:hunter2@db',
    'DB_PASSWORD=hunter2',
    'api_key: "abc123"',
    '-----BEGIN RSA PRIVATE KEY-----\nMIIE',
  ],
  email: ['jane.doe+tag@example.co.uk', 'x@y.io'],
  card: [
    '4111111111111111',
    '4111 1111 1111 1111',
    '4012-8888-8888-1881',
    '5500 0000 0000 0004',
    '2223003122003222',
    '340000000000009',
    '3782 822463 10005',
    '30569309025904',
    '3530111333300000',
    '6011000990139424',
    '6759649826438453',
    '6200000000000005',
    '4222222222222',
  ],
  iban: ['DE89370400440532013000', 'GB82 WEST 1234 5698 7654 32', 'NL91ABNA0417164300', 'FR1420041010050500013M02606'],
  ssn: ['078-05-1120', '219 09 9999', '457.55.5462'],
  mac: ['00:1b:44:11:3a:b7', '00-1B-44-11-3A-B7', '001b.4411.3ab7'],
  address: ['203.0.113.7', '2001:db8::8a2e:370:7334', '8.8.8.8:53', '2001:4860:4860::8888'],
  phone: ['+49 30 901820', '+1 (415) 555-2671', '+442079460958'],
};

describe('the rules for texts', () => {
  for (const [kind, values] of Object.entries(planted))
    test.each(values)(`remove %j as ${kind}`, (value) => {
      for (const text of [value, `before ${value} after`, `(${value})`, `x=${value}`]) {
        const result = sanitiseText(text);
        const digits = value.replaceAll(/\W/g, '').slice(-6);
        expect(result.text.replaceAll(/\W/g, '')).not.toContain(digits);
        expect(result.found.length).toBeGreaterThan(0);
      }
      expect(sanitiseText(`before ${value} after`).found).toContain(kind);
    });

  test.each(ordinary)('keep %j', (text) => {
    expect(sanitiseText(text)).toEqual({ text, found: [] });
  });

  test('find several values in one text, and keep what stands between', () => {
    expect(sanitiseText('from 203.0.113.7 by a@b.io, card 4111 1111 1111 1111.').text).toBe(
      'from [address] by [email], card [card].',
    );
    expect(sanitiseText('1 4111111111111111 2').text).toBe('1 [card] 2');
  });

  test('remove control characters and cut long texts', () => {
    expect(sanitiseText('a\nb\u001b[31m\u0000').text).toBe('a b ');
    expect(sanitiseText('é'.repeat(5000)).text).toHaveLength(textCharsMax);
    expect(sanitiseText('\ud800').text).toBe('\ufffd');
  });

  test('have nothing left to remove in their own results', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...Object.values(planted).flat(), ...ordinary)), (parts) => {
        const { text } = sanitiseText(parts.join(' '));
        expect(sanitiseText(text).text).toBe(text);
      }),
      { numRuns: 50 },
    );
  });
});

test('checksums tell numbers from similar ones', () => {
  for (const card of planted['card'] ?? []) {
    const digits = card.replaceAll(/\D/g, '');
    expect(passesLuhn(digits)).toBe(true);
    expect(passesLuhn(digits.slice(0, -1) + String((Number(digits.at(-1)) + 1) % 10))).toBe(false);
  }
  for (const iban of planted['iban'] ?? []) expect(passesMod97(iban.replaceAll(' ', ''))).toBe(true);
  expect(passesMod97('DE89370400440532013001')).toBe(false);
});

describe('a draft', () => {
  test('of the right form is stored as it is', () => {
    const draft = draftOf({ facts: { from: 0, to: 256, rootBefore: '0'.repeat(64), basis: 'gdpr-17' } });
    expect(sanitise(draft)).toEqual(draft);
  });

  test('loses fields that the type does not have, at every depth', () => {
    const draft = { ...draftOf(), message: 'free text', env: { A: 'b' } };
    const more = {
      ...draft,
      actor: { ...draft.actor, name: 'Jane' },
      target: { ...draft.target, path: '/etc/passwd' },
    };
    expect(sanitise(more)).toEqual(draftOf());
  });

  test('loses facts that are not listed, and values of another form', () => {
    const facts = {
      command: 'rm -rf /',
      password: 'x',
      from: 1.5,
      to: '3',
      reason: 'Free Text',
      bytes: 7,
      __proto__: 1,
      constructor: 2,
    };
    expect(sanitise(draftOf({ facts })).facts).toEqual({ from: removed, to: removed, reason: removed, bytes: 7 });
  });

  test.each<[string, Partial<AuditDraft>]>([
    ['a token as a key id', { actor: { kind: 'key', id: planted['token']?.[0] ?? '' } }],
    ['a path as an action', { action: '../../etc' }],
    ['a card as a target', { target: { kind: 'sandbox', id: '4111111111111111', team: 't1' } }],
    ['a public address as a target', { target: { kind: 'sandbox', id: '203.0.113.7', team: 't1' } }],
    ['spaces in a target', { target: { kind: 'sandbox', id: 'Jane Doe', team: 't1' } }],
    ['a query in a route', { request: { id: 'request1', method: 'GET', route: '/x?token=abc' } }],
    ['a long id', { target: { kind: 'sandbox', id: 'x'.repeat(129), team: 't1' } }],
    ['a whole address as a network', { source: { network: '203.0.113.7/32' } }],
    ['an address as an agent', { source: { agent: 'jane@example.com' } }],
    ['text as ciphertext', { sealed: 'Jane Doe, Berlin, 203.0.113.7, and what she did there' }],
    ['text as a rule', { rule: 'because I can' }],
  ])('with %s is stored without it', (_, over) => {
    expect(JSON.stringify(sanitise(draftOf(over)))).toContain(removed);
  });

  test('of any content fits into a record', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.constantFrom(...Object.values(planted).flat()),
    );
    fc.assert(
      fc.property(text, text, fc.dictionary(text, fc.oneof(text, fc.double(), fc.boolean())), (one, other, facts) => {
        const draft = sanitise(
          draftOf({
            ...{ action: one, scope: other, rule: one, jurisdiction: other, facts, sealed: one, piiKeyId: other },
            actor: { kind: 'key', id: one },
            target: { kind: one, id: other, team: one },
            request: { id: one, method: other, route: one },
            source: { network: one, agent: other },
          }),
        );
        expect(leafOf(draft, positionOf(0)).length).toBeLessThan(4096);
      }),
    );
  });
});

test('a host that looks like personal data hides neither its domain nor the hosts beside it', () => {
  const facts = { host: '4111-1111-1111-1111.evil.example', ruleHosts: 'a.example,201-555-0123.evil.example' };
  const stored = sanitise(draftOf({ facts })).facts;
  expect(stored?.['host']).toMatch(/^(?!.*4111).*\.evil\.example$/);
  expect(stored?.['ruleHosts']).toMatch(/^a\.example,(?!.*201-555).*\.evil\.example$/);
});

test('a record is canonical: the order of its fields does not matter', () => {
  const draft = draftOf();
  const reversed = Object.fromEntries(Object.entries(draft).reverse()) as unknown as AuditDraft;
  expect(leafOf(reversed, positionOf(3))).toBe(leafOf(draft, positionOf(3)));
  expect(leafOf(draft, positionOf(3))).toMatch(/^\{"action":"sandbox\.create","actor":\{"id":.*"writerSeq":3\}$/);
  expect(() => leafOf(draftOf({ rule: 'x'.repeat(9000) }), positionOf(0))).toThrow(RangeError);
});
