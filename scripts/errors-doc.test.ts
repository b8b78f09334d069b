import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { reasons } from '@soulbox/base';
import { renderErrorsDoc } from './errors-doc.ts';

const page = readFileSync(new URL('../docs/errors.md', import.meta.url), 'utf8');

test('docs/errors.md lists every reason exactly once', () => {
  const listed = [...page.matchAll(/^\| `([a-z_]+)` \|/gm)].map((match) => match[1]);
  expect(listed.toSorted()).toEqual(Object.keys(reasons).toSorted());
});

test('docs/errors.md describes each reason as the code does', () => {
  expect(page, 'stale: run node scripts/generate-errors-docs.ts').toBe(renderErrorsDoc());
});

test('no help text can break the table', () => {
  for (const { help } of Object.values(reasons)) expect(help).not.toMatch(/[|\n]/);
});
