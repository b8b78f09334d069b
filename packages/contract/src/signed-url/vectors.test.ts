import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parameterNames } from './parameters.ts';
import { parseQuery } from './query.ts';
import { canonicalForm, parseSignedRequest } from './signed-request.ts';
import type { ParsedRequest } from './signed-request.ts';
import { parseGrant } from './parse-grant.ts';
import { isSignedWith, signedTarget } from './signature.ts';

const page = readFileSync(new URL('../../../../docs/signed-urls.md', import.meta.url), 'utf8');

/** The block of the page with this name. */
function readBlock(name: string): unknown {
  const block = new RegExp(`\`\`\`json ${name}\\n([\\s\\S]*?)\\n\`\`\``).exec(page)?.[1];
  if (block === undefined) throw new Error(`the page has no block ${name}`);
  return JSON.parse(block);
}

interface Vector {
  readonly method: string;
  readonly url: string;
  readonly canonical: readonly string[];
}
const vectors = readBlock('vectors') as readonly Vector[];
const spellings = readBlock('spellings') as Readonly<Record<string, 'same' | 'other' | 'refused'>>;
const key = Buffer.from(Array.from({ length: 32 }, (_, index) => index));

/** Splits a URL without normalizing it, as a client would. */
function parse({ method, url }: Pick<Vector, 'method' | 'url'>): ParsedRequest {
  const [, authority = '', target = ''] = /^https?:\/\/([^/]*)(.*)$/.exec(url) ?? [];
  return parseSignedRequest({ method, authority, target });
}

test.each(vectors)('the signature of $method $url is that of the documented form', (vector) => {
  const parsed = parse(vector);
  if (parsed.kind !== 'signed') throw new Error(JSON.stringify(parsed));
  expect(canonicalForm(parsed.request).split('\n')).toEqual(vector.canonical);
  expect(isSignedWith(parsed.request, key)).toBe(true);
});

test('the page documents every parameter', () => {
  for (const name of Object.values(parameterNames)) expect(page).toContain(`\`${name}\``);
});

test.each(Object.entries(spellings))('%s is %s', (spelling, outcome) => {
  const [, query = ''] = (vectors[0]?.url ?? '').split('?');
  const parsed = parseGrant(parseQuery(query) ?? []);
  if ('fault' in parsed) throw new Error(parsed.fault);
  const own = [['x', '1'] as const, ['y', '2'] as const];
  const signed = signedTarget({ method: 'GET', host: 'box.example', path: '/a/~b', own, grant: parsed.grant }, key);
  const [method = '', target = ''] = spelling.split(' ');
  const url = `https://box.example${signed.replace('/a/~b?x=1&y=2', () => target)}`;
  const result = parse({ method, url });
  const found = result.kind === 'signed' ? (isSignedWith(result.request, key) ? 'same' : 'other') : result.kind;
  expect(found).toBe(outcome);
});
