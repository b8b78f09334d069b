import { expect, test } from 'vitest';
import { rewriteImports } from './rewrite-imports.ts';
import { hookExpression } from './scope.ts';

const load = (text: string): string => `await ${hookExpression}.load(${text})`;

test.each([
  ['import "x"', `${load('"x"')};`],
  ['import a from "x"', `const { default: a } = ${load('"x"')};`],
  ['import { a, b as c, "d-e" as f } from "x"', `const { a: a, b: c, "d-e": f } = ${load('"x"')};`],
  ['import * as n from "x"', `const n = ${load('"x"')};`],
  ['import a, * as n from "x"', `const n = ${load('"x"')}; const { default: a } = n;`],
  [
    'import j from "./x.json" with { type: "json" }',
    `const { default: j } = ${load('"./x.json", { with: { "type": "json" } }')};`,
  ],
  ['const m = await import(`x`)', `const m = await ${hookExpression}.load(\`x\`)`],
  ['import.meta.url', `${hookExpression}.meta.url`],
  ['export const a = 1', 'const a = 1'],
  ['export default function f() {}', 'function f() {}'],
  ['const a = 1; export { a }; a', 'const a = 1;  a'],
  ['export const m = import("x")', `const m = ${hookExpression}.load("x")`],
])('%s', (code, expected) => {
  expect(rewriteImports(code)).toBe(expected);
});

test.each([
  '"import x from y"',
  '// import x\n1',
  'const important = 1',
  'import from from',
  'with (a) { import("x") }',
])('code that has no import or does not parse as a module is unchanged: %s', (code) => {
  expect(rewriteImports(code)).toBe(code);
});
