import { expect, test } from 'vitest';
import { createTransferSlots } from './transfer-slots.ts';

const refused = expect.objectContaining({ reason: 'limit_exceeded' }) as Error;

test('a team has a part of the exports and imports that a server runs at once', () => {
  const slots = createTransferSlots();
  const first = slots.take('export', 'a');
  slots.take('export', 'a');
  expect(() => slots.take('export', 'a')).toThrow(refused);
  slots.take('import', 'a');
  expect(() => slots.take('import', 'a')).toThrow(refused);
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  slots.take('export', 'a');
  expect(() => slots.take('export', 'a')).toThrow(refused);
});

test('all teams together have no more than the server runs', () => {
  const slots = createTransferSlots();
  const all = ['a', 'b', 'c', 'd'].flatMap((team) => [slots.take('export', team), slots.take('export', team)]);
  expect(() => slots.take('export', 'e')).toThrow(refused);
  all[0]?.[Symbol.dispose]();
  slots.take('export', 'e');
});
