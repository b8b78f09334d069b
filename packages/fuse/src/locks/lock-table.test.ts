/** @module-tag violation */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FuseError, noEnd, type FuseLock } from '../fuse-fs.ts';
import { createLockTable } from './lock-table.ts';

const lock = (type: FuseLock['type'], start: number, end: number): FuseLock => ({ type, start, end, pid: 1 });

function codeOf(action: () => unknown): string {
  try {
    action();
    return 'done';
  } catch (error) {
    return (error as FuseError).code;
  }
}

describe('a table of locks', () => {
  test('grants and refuses what a table of single bytes does', () => {
    const types = fc.constantFrom('read', 'write', 'none');
    const calls = fc.array(
      fc.record({
        owner: fc.constantFrom('a', 'b', 'c'),
        type: types,
        start: fc.nat(15),
        length: fc.integer({ min: 1, max: 8 }),
      }),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(calls, (all) => {
        const table = createLockTable();
        const bytes = Array.from({ length: 24 }, () => new Map<string, string>());
        for (const { owner, type, start, length } of all) {
          const range = bytes.slice(start, start + length);
          const refused = range.some((holders) =>
            [...holders].some(
              ([name, held]) => name !== owner && type !== 'none' && (held === 'write' || type === 'write'),
            ),
          );
          const wanted = lock(type, start, start + length - 1);
          expect(table.test(1, owner, wanted) !== undefined).toBe(refused);
          expect(codeOf(() => table.set(1, owner, wanted))).toBe(refused ? 'EAGAIN' : 'done');
          if (refused) continue;
          for (const holders of range) {
            if (type === 'none') holders.delete(owner);
            else holders.set(owner, type);
          }
        }
        for (const owner of ['a', 'b', 'c']) table.releaseOwner(1, owner);
        expect(table.size()).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  test('grants a lock that waits as soon as it can, and not to one who gave up', async () => {
    const table = createLockTable();
    const [gaveUp, waits] = [new AbortController(), new AbortController()];
    await table.set(1, 'a', lock('write', 0, 9));
    const first = table.set(1, 'b', lock('write', 0, 4), gaveUp.signal);
    const second = table.set(1, 'c', lock('write', 0, 4), waits.signal);
    gaveUp.abort();
    await expect(first).rejects.toThrow('EINTR');
    await table.set(1, 'a', lock('none', 0, 4));
    await second;
    expect(table.test(1, 'd', lock('read', 0, 0))?.type).toBe('write');
    expect(table.test(1, 'b', lock('write', 5, noEnd))).toMatchObject({ start: 5, end: 9 });
  });

  test('refuses to wait in a circle', async () => {
    const table = createLockTable();
    const { signal } = new AbortController();
    await table.set(1, 'a', lock('write', 0, 0));
    await table.set(2, 'b', lock('write', 0, 0));
    const waits = table.set(2, 'a', lock('write', 0, 0), signal);
    expect(codeOf(() => table.set(1, 'b', lock('write', 0, 0), signal))).toBe('EDEADLK');
    table.releaseOwner(2, 'b');
    await waits;
  });

  test('has a bound', () => {
    const table = createLockTable(2);
    void table.set(1, 'a', lock('read', 0, 0));
    void table.flock(2, 'a', 'write');
    expect(codeOf(() => table.flock(3, 'a', 'read'))).toBe('ENOLCK');
    void table.flock(2, 'a', 'none');
    expect(codeOf(() => table.flock(3, 'a', 'read'))).toBe('done');
  });
});
