import { expect, test } from 'vitest';
import { createEndedSignIns } from './ended-sign-ins.ts';

const now = { value: 0 };
const ended = () => createEndedSignIns({ now: () => now.value });
const identity = (providerSid: string, issuedAt: number, subject = 'ada') => ({ subject, providerSid, issuedAt });

test('a sign-in has ended with its session, or with its person if it is older', () => {
  const table = ended();
  table.note({ subject: 'ada', providerSid: '' }, 100);
  expect([100, 101].map((at) => table.includes(identity('s1', at)))).toEqual([true, false]);
  expect(table.includes(identity('s1', 100, 'bea'))).toBe(false);
  table.note({ subject: '', providerSid: 's2' }, 100);
  expect([identity('s2', 999), identity('s3', 999)].map(table.includes)).toEqual([true, false]);
});

test('a sign-in without a name ends with any session of its person', () => {
  const table = ended();
  table.note({ subject: 'ada', providerSid: 's1' }, 100);
  expect([identity('', 100), identity('', 101), identity('s2', 100)].map(table.includes)).toEqual([true, false, false]);
});

test('it is forgotten after ten minutes, and bounded', () => {
  const table = ended();
  table.note({ subject: 'ada', providerSid: '' }, 100);
  now.value += 10 * 60_000;
  expect(table.includes(identity('', 100))).toBe(false);
  for (let n = 0; n <= 20_000; n += 1) table.note({ subject: '', providerSid: `s${n}` }, 100);
  expect([table.includes(identity('s0', 1)), table.includes(identity('s1', 1))]).toEqual([false, true]);
});
