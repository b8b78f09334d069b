import { describe, expect, test } from 'vitest';
import { leafOf } from './record.ts';
import { createSequencer } from './sequence.ts';
import type { PendingRecord, PendingRecords } from './sequence.ts';
import { draftOf, makeLog } from './testing/test-log.ts';

const damaged = expect.objectContaining({ reason: 'state_damaged' }) as Error;

function recordAt(seq: number, writer = 'a', writerSeq = seq): PendingRecord {
  const position = { seq, writer, writerSeq };
  return { ...position, leaf: leafOf(draftOf(), position) };
}

/** Waiting records in memory; the real ones are rows of SQLite. */
function pendingOf(records: PendingRecord[]): PendingRecords & { readonly records: PendingRecord[] } {
  return {
    records,
    next: (from, limit) => Promise.resolve(records.filter(({ seq }) => seq >= from).slice(0, limit)),
    settle: (size) => {
      records.splice(0, records.length, ...records.filter(({ seq }) => seq >= size));
      return Promise.resolve();
    },
  };
}

const range = (from: number, to: number): PendingRecord[] =>
  Array.from({ length: to - from }, (_, at) => recordAt(from + at));

describe('the sequencer', () => {
  test('moves committed records into the log, and forgets them then', async () => {
    await using made = await makeLog(0);
    const pending = pendingOf(range(0, 5));
    const sequencer = await createSequencer(made.log, pending);
    expect([await sequencer.step(), await sequencer.step()]).toEqual([5, 0]);
    expect([made.log.checkpoint.size, pending.records]).toEqual([5, []]);
  });

  test('does not add a record twice after a crash between the checkpoint and the forgetting', async () => {
    await using made = await makeLog(0);
    const all = range(0, 5);
    await (await createSequencer(made.log, { ...pendingOf([...all]), settle: () => Promise.resolve() })).step();
    const pending = pendingOf([...all, recordAt(5)]);
    const after = await createSequencer(await made.reopen(), pending);
    expect(pending.records).toHaveLength(1);
    expect(await after.step()).toBe(1);
    expect((await made.reopen()).checkpoint.size).toBe(6);
  });

  test.each([
    ['the first is missing', [recordAt(1), recordAt(2)]],
    ['one in the middle is missing', [recordAt(0), recordAt(2)]],
    ['two are exchanged', [recordAt(0), recordAt(2), recordAt(1)]],
    ['one comes twice', [recordAt(0), recordAt(0)]],
    ['a number of the writer is missing', [recordAt(0), recordAt(1, 'a', 2)]],
    ['a new writer does not start at 0', [recordAt(0), recordAt(1, 'b', 1)]],
  ])('publishes nothing when %s', async (_, records) => {
    await using made = await makeLog(0);
    const sequencer = await createSequencer(made.log, pendingOf(records));
    await expect(sequencer.step()).rejects.toThrow(damaged);
    expect(made.log.checkpoint.size).toBe(0);
  });

  test('knows the last number of the writer after a restart', async () => {
    await using made = await makeLog(0);
    await (await createSequencer(made.log, pendingOf(range(0, 3)))).step();
    const lost = await createSequencer(await made.reopen(), pendingOf([recordAt(3, 'a', 4)]));
    await expect(lost.step()).rejects.toThrow(damaged);
    const next = await createSequencer(await made.reopen(), pendingOf([recordAt(3, 'b', 0)]));
    expect(await next.step()).toBe(1);
  });
});
