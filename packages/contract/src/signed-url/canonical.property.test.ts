/** @module-tag violation */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalForm, parseSignedRequest } from './signed-request.ts';
import type { SignedParts, SignedRequest } from './signed-request.ts';
import { isSignedWith, signatureOf, signedTarget } from './signature.ts';

const key = Buffer.alloc(32, 1);

const text = fc.string({ unit: 'binary', maxLength: 12 }).filter((value) => value.isWellFormed());
const name = text.filter((value) => value !== '' && !value.toLowerCase().startsWith('soulbox-'));
const segment = fc
  .string({ unit: fc.constantFrom(...Array.from('abcXYZ019-_.~!$&()*+,=:@')), minLength: 1, maxLength: 8 })
  .filter((value) => value !== '.' && value !== '..');

const parts: fc.Arbitrary<SignedParts> = fc.record({
  method: fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE'),
  host: fc.constantFrom('a.example', 'b.example:3000', '[::1]:3000'),
  path: fc.array(segment, { maxLength: 4 }).map((segments) => `/${segments.join('/')}`),
  own: fc.array(fc.tuple(name, text), { maxLength: 5 }),
  grant: fc.record({
    keyId: fc.constantFrom('saaaaaaaaaaaa', 'sbbbbbbbbbbbb'),
    signerId: fc.constant('123e4567-e89b-12d3-a456-426614174000'),
    expiresAt: fc.integer({ min: 1, max: 9_999_999_999 }),
    nonce: fc.constantFrom('AAECAwQFBgcICQoLDA0ODw', 'BAECAwQFBgcICQoLDA0ODw'),
    once: fc.boolean(),
    maxBytes: fc.option(fc.integer({ min: 1, max: 1e12 }), { nil: undefined }),
    contentType: fc.constantFrom(undefined, 'image/png', 'image/*'),
    prefix: fc.constant(undefined),
    filePrefix: fc.constant(undefined),
    addresses: fc.constantFrom(undefined, ['192.0.2.0/24'], ['192.0.2.0/24', '2001:db8::/32']),
  }),
});

function getSigned({ method, host }: SignedParts, target: string): SignedRequest {
  const parsed = parseSignedRequest({ method, authority: host, target });
  if (parsed.kind !== 'signed') throw new Error(JSON.stringify(parsed));
  return parsed.request;
}

test('what is signed is what is parsed', () => {
  fc.assert(
    fc.property(parts, (signed) => {
      const { signature, target, ...parsed } = getSigned(signed, signedTarget(signed, key));
      expect(parsed).toEqual(signed);
      expect(signature).toBe(signatureOf(signed, key));
      expect(target).not.toMatch(/[?&]soulbox-/i);
    }),
  );
});

/** Percent-encodes the characters that `chosen` selects, in a random case of letters. */
function reencode(query: string, chosen: readonly number[]): string {
  return query.replace(/%[0-9A-F]{2}|[A-Za-z0-9]/g, (part, at: number) => {
    const choice = chosen[at % chosen.length] ?? 0;
    if (part.length > 1) return choice % 2 === 0 ? part.toLowerCase() : part;
    return choice % 3 === 0 ? `%${part.charCodeAt(0).toString(16)}` : part;
  });
}

test('another encoding of the same path and query has the same signature', () => {
  const choices = fc.array(fc.nat(5), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(parts, choices, (signed, chosen) => {
      const [path = '', query = ''] = signedTarget(signed, key).split('?');
      const request = getSigned(signed, `${reencode(path, chosen)}?${reencode(query, chosen)}`);
      expect(isSignedWith(request, key)).toBe(true);
      expect(request.target).toBe(getSigned(signed, signedTarget(signed, key)).target);
    }),
  );
});

test('the order of parameters with different names has no effect, and that of equal names has', () => {
  fc.assert(
    fc.property(parts, fc.nat(), (signed, seed) => {
      const [path = '', query = ''] = signedTarget(signed, key).split('?');
      const pieces = query.split('&');
      const at = seed % pieces.length;
      const moved = [...pieces.slice(at), ...pieces.slice(0, at)];
      const orderOf = (list: readonly string[]): string[] =>
        list.toSorted((one, other) => (nameOf(one) < nameOf(other) ? -1 : Number(nameOf(one) > nameOf(other))));
      const isSame = orderOf(moved).join('&') === orderOf(pieces).join('&');
      expect(isSignedWith(getSigned(signed, `${path}?${moved.join('&')}`), key)).toBe(isSame);
    }),
  );
});

const nameOf = (piece: string): string => piece.split('=', 1)[0] ?? '';

test('two different requests never have the same canonical form', () => {
  const normalize = ({ own, ...rest }: SignedParts): unknown => ({
    ...rest,
    own: own.toSorted(([one], [other]) => (one < other ? -1 : Number(one > other))),
  });
  fc.assert(
    fc.property(parts, parts, (one, other) => {
      const isSame = JSON.stringify(normalize(one)) === JSON.stringify(normalize(other));
      expect(canonicalForm(one) === canonicalForm(other)).toBe(isSame);
    }),
  );
});

test('one changed character of the URL is refused, makes it invalid, or is another encoding of the same', () => {
  fc.assert(
    fc.property(parts, fc.nat(), fc.integer({ min: 0x21, max: 0x7e }), (signed, seed, code) => {
      const url = signedTarget(signed, key);
      const at = seed % url.length;
      const parsed = parseSignedRequest({
        method: signed.method,
        authority: signed.host,
        target: url.slice(0, at) + String.fromCharCode(code) + url.slice(at + 1),
      });
      if (parsed.kind === 'signed' && isSignedWith(parsed.request, key))
        expect(canonicalForm(parsed.request)).toBe(canonicalForm(signed));
    }),
  );
});

test('no text makes the parser throw', () => {
  const target = fc.oneof(
    text,
    fc.webUrl(),
    text.map((value) => `/?soulbox-key=${value}`),
  );
  fc.assert(
    fc.property(text, text, target, (method, authority, anything) => {
      parseSignedRequest({ method, authority, target: anything });
    }),
  );
});
