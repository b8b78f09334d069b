import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { prunableTo } from './prune.ts';
import { jurisdictions, retainUntil, retentionDays } from './retention.ts';
import { verifyLog } from './verify-log.ts';
import { writeFile } from 'node:fs/promises';
import { leavesOf, makeLog } from './testing/test-log.ts';

const day = 24 * 60 * 60 * 1000;

test('whole bundles of records past their time are pruned; roots, proofs and the rest stay', async () => {
  await using made = await makeLog(0);
  await made.log.append(leavesOf(0, 600, { retainUntil: 1000 }));
  await made.log.append(leavesOf(600, 900, { retainUntil: 5000 }));
  expect(await prunableTo(made.log, 999, [])).toBe(0);
  expect(await prunableTo(made.log, 1000, [])).toBe(512);
  const { root } = made.log.checkpoint;
  await made.log.prune(512);
  expect(existsSync(join(made.folder, 'tile/entries/001'))).toBe(false);
  expect(existsSync(join(made.folder, 'tile/0/001'))).toBe(true);
  const reopened = await made.reopen();
  expect([await reopened.readMinimum(), reopened.checkpoint.root]).toEqual([512, root]);
  expect(await reopened.readEntries(0, 514)).toEqual(leavesOf(512, 514, { retainUntil: 1000 }));
  await reopened.append(leavesOf(900, 901));
  await writeFile(join(made.folder, 'log.json'), JSON.stringify({ verifierKey: reopened.verifierKey, from: 512 }));
  expect(verifyLog({ directory: made.folder })).toMatchObject({ from: 512, records: 389, size: 901, faults: [] });
  expect(await prunableTo(reopened, 1000, [])).toBe(512);
});

test('one record with a longer time keeps its bundle and all after it', async () => {
  await using made = await makeLog(0);
  await made.log.append([
    ...leavesOf(0, 300, { retainUntil: 1 }),
    ...leavesOf(300, 301),
    ...leavesOf(301, 800, { retainUntil: 1 }),
  ]);
  expect(await prunableTo(made.log, 1000, [])).toBe(256);
});

test('a legal hold keeps everything until its end', async () => {
  await using made = await makeLog(0);
  await made.log.append(leavesOf(0, 300, { retainUntil: 1 }));
  expect(await prunableTo(made.log, 1000, [{ until: 1001 }])).toBe(0);
  expect(await prunableTo(made.log, 1001, [{ until: 1001 }])).toBe(256);
});

test('pruning does nothing below its minimum, and never removes the bundle that is being filled', async () => {
  await using made = await makeLog(300);
  await made.log.prune(9999);
  expect(await made.log.readMinimum()).toBe(256);
  await made.log.prune(0);
  expect(await made.log.readMinimum()).toBe(256);
  expect(await made.log.readEntries(0, 300)).toEqual(leavesOf(256, 300));
});

test.each(jurisdictions)(
  'records of the jurisdiction %s are pruned after the days of their class, not before',
  async (jurisdiction) => {
    for (const recordClass of ['security', 'operation', 'reading'] as const) {
      const time = 1_790_000_000_000;
      const until = retainUntil(time, recordClass, { jurisdiction, minDays: 0 });
      expect((until - time) / day).toBe(retentionDays[jurisdiction][recordClass]);
      await using made = await makeLog(0);
      await made.log.append(leavesOf(0, 256, { time, class: recordClass, jurisdiction, retainUntil: until }));
      expect(await prunableTo(made.log, until - 1, [])).toBe(0);
      expect(await prunableTo(made.log, until, [])).toBe(256);
      expect(await prunableTo(made.log, until, [{ until: until + 1 }])).toBe(0);
    }
  },
);

test('a change of the jurisdiction does not shorten the time of earlier records', async () => {
  await using made = await makeLog(0);
  const long = retainUntil(0, 'reading', { jurisdiction: 'us-hipaa', minDays: 0 });
  const short = retainUntil(0, 'reading', { jurisdiction: 'eu', minDays: 0 });
  await made.log.append(leavesOf(0, 256, { retainUntil: long, jurisdiction: 'us-hipaa' }));
  await made.log.append(leavesOf(256, 512, { retainUntil: short, jurisdiction: 'eu' }));
  expect(await prunableTo(made.log, short, [])).toBe(0);
  expect(await prunableTo(made.log, long, [])).toBe(512);
});

test('retention depends on jurisdiction and class, and can only be made longer', () => {
  const of = (jurisdiction: 'eu' | 'us-hipaa' | 'none', minDays = 0) => ({ jurisdiction, minDays });
  expect(retainUntil(0, 'security', of('eu'))).toBe(365 * day);
  expect(retainUntil(0, 'reading', of('eu'))).toBe(180 * day);
  expect(retainUntil(0, 'reading', of('us-hipaa'))).toBe(2192 * day);
  expect(retainUntil(0, 'reading', of('none', 400))).toBe(400 * day);
  expect(retainUntil(0, 'security', of('us-hipaa', 10))).toBe(2192 * day);
});
