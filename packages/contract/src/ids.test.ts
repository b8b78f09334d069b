/** @module-tag violation */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createSandboxId, parseSandboxId } from './ids.ts';

describe('sandbox ids', () => {
  it('are an i and 20 letters or digits, and never repeat', () => {
    const ids = Array.from({ length: 1000 }, createSandboxId);
    for (const id of ids) expect(id).toMatch(/^i[a-z0-9]{20}$/);
    expect(new Set(ids).size).toBe(1000);
  });

  it('are parsed with or without the old client suffix', () => {
    const id = createSandboxId();
    expect(parseSandboxId(id)).toBe(id);
    expect(parseSandboxId(`${id}-6532622b`)).toBe(id);
  });

  it.each([
    '',
    '-',
    'a/b',
    '..',
    'a\0',
    'a\n',
    'A',
    'i'.repeat(65),
    'x'.repeat(10_000),
    'a-b-c',
    '49983-a-b',
    'ä',
    'a b',
  ])('are not %j', (text) => {
    expect(parseSandboxId(text)).toBeUndefined();
  });

  it('never let through anything that could act as a path, a host or a line break', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const id = parseSandboxId(text);
        expect(id === undefined || /^[a-z0-9]+$/.test(id)).toBe(true);
      }),
    );
  });
});
