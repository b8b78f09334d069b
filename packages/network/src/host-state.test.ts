import { expect, test } from 'vitest';
import { foreignDrops } from './host-state.ts';

test.each([
  ['forwarded packets', { table: 'filter', name: 'FORWARD', hook: 'forward', policy: 'drop' }, 'no internet access'],
  ['packets to the host', { table: 'filter', name: 'INPUT', hook: 'input', policy: 'drop' }, 'no name server'],
])('a firewall that drops %s is named with its symptom', (_, chain, symptom) => {
  expect(foreignDrops([chain], 'soulbox_0')).toEqual([{ chain, symptom: expect.stringContaining(symptom) as string }]);
});

test('chains that accept, chains of other hooks, and our own are not named', () => {
  const chains = [
    { table: 'filter', hook: 'input', policy: 'accept' },
    { table: 'filter', hook: 'output', policy: 'drop' },
    { table: 'soulbox_0', hook: 'forward', policy: 'drop' },
    { table: 'filter', name: 'regular' },
  ];
  expect(foreignDrops(chains, 'soulbox_0')).toEqual([]);
});
