import { beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '@soulbox/base';
import type { Collection, Needed } from '@soulbox/states';
import type { SnapshotStore } from './copies/snapshot-store.ts';
import { createKeepsakes } from './keepsakes.ts';
import type { Holding, Keepsakes } from './keepsakes.ts';
import type { SandboxRecord } from './record.ts';
import type { SandboxTable } from './table.ts';

interface Round {
  readonly needed: () => Needed;
  finish(collection?: Partial<Collection>): void;
  fail(): void;
}

let rounds: Round[];
let records: Partial<SandboxRecord>[];
let snapshots: { stateId: string; layers: string[] }[];
let cached: Required<Holding>;
let removed: string[];
let aside: string[];
let nowMs: number;
/** Whether the disk takes no change. */
let failing: boolean;
let keepsakes: Keepsakes;

const fail = (): Promise<never> => Promise.reject(new Error('the disk is broken'));

beforeEach(() => {
  failing = false;
  [rounds, records, snapshots, removed, aside, nowMs] = [[], [], [], [], [], 1000];
  cached = { states: [], layers: [] };
  const states = {
    collect: async (findNeeded: () => Needed | Promise<Needed>) =>
      await new Promise<Collection>((resolve, reject) => {
        rounds.push({
          needed: findNeeded as () => Needed,
          finish: (collection) => resolve({ removedStates: [], removedLayers: [], ...collection }),
          fail: () => reject(new Error('cannot read')),
        });
      }),
    remove: (stateId: string) => (failing ? fail() : Promise.resolve(void removed.push(stateId))),
    setAside: (stateId: string) => (failing ? fail() : Promise.resolve(void aside.push(stateId))),
  };
  const table = {
    all: () => records.map((record) => ({ record: { pagesFrom: '', layers: [], ...record }, live: undefined })),
  } as unknown as SandboxTable;
  const store = { list: () => snapshots } as unknown as SnapshotStore;
  keepsakes = createKeepsakes(states, table, store, silentLogger, { now: () => nowMs }, () => cached);
});

/** Lets all that can run come to its end. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a collection', () => {
  it('needs what records, snapshots, holders and the cache name, whatever the name is for', async () => {
    records = [
      { sandboxId: 'i1', saved: { stateId: 'saved', hasMemory: true, sizeBytes: 0 }, layers: ['below'] },
      { sandboxId: 'i2', work: { stateId: 'made', layerId: 'frozen' } as SandboxRecord['work'] },
      { sandboxId: 'i3', pagesFrom: 'read' },
    ];
    snapshots = [{ stateId: 'kept', layers: ['shared'] }];
    cached = { states: ['built'], layers: ['step'] };
    using _hold = keepsakes.hold({ states: ['held'], layers: ['used'] });
    void keepsakes.collect();
    await settle();
    const { states, layers } = rounds[0]?.needed() ?? { states: new Set(), layers: new Set() };
    for (const id of ['saved', 'made', 'read', 'kept', 'built', 'held']) expect(states.has(id), id).toBe(true);
    for (const id of ['below', 'frozen', 'shared', 'step', 'used']) expect(layers.has(id), id).toBe(true);
    expect(states.has('other')).toBe(false);
  });

  it('looks at what is named when it is asked, not when it began', async () => {
    void keepsakes.collect();
    await settle();
    const hold = keepsakes.hold({ states: ['late'] });
    expect(rounds[0]?.needed().states.has('late')).toBe(true);
    hold[Symbol.dispose]();
    expect(rounds[0]?.needed().states.has('late')).toBe(false);
  });

  it('asked for by many at once is one round', async () => {
    const all = Promise.all([keepsakes.collect(), keepsakes.collect(), keepsakes.collect()]);
    await settle();
    expect(rounds).toHaveLength(1);
    rounds[0]?.finish();
    await all;
    expect(rounds).toHaveLength(1);
  });

  it('asked for while one goes on is another afterwards, which all who came meanwhile share', async () => {
    const first = keepsakes.collect();
    await settle();
    const outcomes: string[] = [];
    const later = [keepsakes.collect(), keepsakes.collect(), keepsakes.collect()].map(async (round, index) => {
      await round;
      outcomes.push(`later ${index}`);
    });
    await settle();
    expect(rounds).toHaveLength(1);
    rounds[0]?.finish();
    await first;
    await settle();
    // The first may have looked before they asked: they are not answered by it.
    expect([rounds.length, outcomes]).toEqual([2, []]);
    rounds[1]?.finish();
    await Promise.all(later);
    expect(rounds).toHaveLength(2);
  });

  it('that fails is no failure of who asked, and no end of collections', async () => {
    const first = keepsakes.collect();
    await settle();
    rounds[0]?.fail();
    await first;
    const second = keepsakes.collect();
    await settle();
    rounds[1]?.finish();
    await second;
    expect(rounds).toHaveLength(2);
  });
});

describe('a state that is dropped', () => {
  it('goes when nobody names it', async () => {
    await keepsakes.drop('s1');
    expect(removed).toEqual(['s1']);
  });

  it('stays while a record, a snapshot or a holder names it', async () => {
    records = [{ sandboxId: 'i1', pagesFrom: 'read' }];
    snapshots = [{ stateId: 'kept', layers: [] }];
    const hold = keepsakes.hold({ states: ['held'] });
    for (const stateId of ['read', 'kept', 'held', '']) await keepsakes.drop(stateId);
    expect(removed).toEqual([]);
    hold[Symbol.dispose]();
    await keepsakes.drop('held');
    expect(removed).toEqual(['held']);
  });
});

it('what cannot be removed or set aside is no failure of who asked', async () => {
  const record = { sandboxId: 'i1', templateId: 't', pagesFrom: 's1' } as SandboxRecord;
  failing = true;
  await keepsakes.drop('s1');
  records = [record];
  await keepsakes.setAside(record, 5);
  expect([removed, aside]).toEqual([[], []]);
});

it('a damaged state is set aside, unless somebody else needs it where it is', async () => {
  const record = { sandboxId: 'i1', templateId: 't', pagesFrom: 's1' } as SandboxRecord;
  records = [record, { sandboxId: 'i2', pagesFrom: 's1' }];
  await keepsakes.setAside(record, 5);
  await keepsakes.setAside({ ...record, pagesFrom: '' }, 5);
  expect(aside).toEqual([]);
  records = [record];
  await keepsakes.setAside(record, 5);
  expect(aside).toEqual(['s1']);
});

it('the last use of a state counts from the end of its last holder, and is forgotten with it', async () => {
  expect(keepsakes.lastUseMs('s1')).toBe(0);
  const [one, two] = [keepsakes.hold({ states: ['s1'] }), keepsakes.hold({ states: ['s1'] })];
  nowMs = 2000;
  one[Symbol.dispose]();
  expect(keepsakes.lastUseMs('s1')).toBeUndefined();
  nowMs = 3000;
  two[Symbol.dispose]();
  expect(keepsakes.lastUseMs('s1')).toBe(3000);
  const round = keepsakes.collect();
  await settle();
  rounds[0]?.finish({ removedStates: ['s1'] });
  await round;
  expect(keepsakes.lastUseMs('s1')).toBe(0);
});
