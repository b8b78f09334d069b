import { expect, it } from 'vitest';
import type { AuditResult } from '@soulbox/audit';
import type { Deed } from './deed.ts';
import { createUses } from './uses.ts';
import type { Use } from './uses.ts';

const success = { status: 'success', code: 0 } as const;
const use: Use = {
  ...{ teamId: 't', action: 'signed-url.use', class: 'security', scope: 'url', rule: 'signature' },
  ...{ actor: { kind: 'key', id: 'k' }, target: { kind: 'sandbox', id: 's1' }, result: success },
};

function start() {
  const told: { readonly deed: Deed; readonly result: AuditResult }[] = [];
  const clock = { value: 1_000_000, now: () => clock.value };
  const uses = createUses((deed, _stage, result) => {
    told.push({ deed, result });
    return Promise.resolve();
  }, clock);
  return { uses, told, clock, counts: () => told.map(({ deed }) => deed.facts?.['count']) };
}

it('records the first use at once, and all others of the minute by their number', async () => {
  const { uses, told, clock, counts } = start();
  for (let n = 0; n < 1000; n += 1) uses.note(use);
  expect(counts()).toEqual([1]);
  clock.value += 59_999;
  await uses.flush();
  expect(counts()).toEqual([1]);
  uses.note(use, 5);
  clock.value += 1;
  await uses.flush();
  expect(counts()).toEqual([1, 1004]);
  expect(told[1]?.deed.facts).toMatchObject({ from: 1_000_000, to: 1_060_000 });
  uses.note(use);
  expect(counts()).toEqual([1, 1004, 1]);
});

it('records nothing more for a use that stays alone, and the rest when the server stops', async () => {
  const { uses, clock, counts } = start();
  uses.note(use);
  clock.value += 60_000;
  await uses.flush();
  expect(counts()).toEqual([1]);
  uses.note(use);
  uses.note(use);
  await uses.flush(true);
  await uses.flush(true);
  expect(counts()).toEqual([1, 1, 1]);
});

it('counts other teams, actors, targets, rules and results apart', () => {
  const { uses, counts, told } = start();
  uses.note(use);
  uses.note({ ...use, teamId: 'u' });
  uses.note({ ...use, actor: { kind: 'key', id: 'l' } });
  uses.note({ ...use, target: { kind: 'sandbox', id: 's2' } });
  uses.note({ ...use, rule: 'key' });
  uses.note({ ...use, result: { status: 'failure', code: 0 } });
  expect(counts()).toEqual([1, 1, 1, 1, 1, 1]);
  expect(told.at(-1)?.result.status).toBe('failure');
});

it('counts further groups of a team together when there are very many, and loses none', async () => {
  const { uses, told } = start();
  for (let n = 0; n < 10_500; n += 1) uses.note({ ...use, target: { kind: 'sandbox', id: `s${n}` } });
  await uses.flush(true);
  const total = told.reduce((sum, { deed }) => sum + Number(deed.facts?.['count']), 0);
  expect([told.length, total]).toEqual([10_002, 10_500]);
  expect(told.at(-1)?.deed).toMatchObject({ target: { id: '' }, actor: { id: 'many' }, facts: { count: 499 } });
});
