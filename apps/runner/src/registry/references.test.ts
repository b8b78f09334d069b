import { beforeEach, describe, expect, it } from 'vitest';
import type { Logger } from '@soulbox/base';
import type { Collection, Needed } from '@soulbox/checkpoints';
import type { SnapshotStore } from './snapshot-store.ts';
import { createReferences } from './references.ts';
import type { Holding } from './named.ts';
import type { References } from './references.ts';
import type { HostRecord } from './record.ts';
import type { SandboxTable } from './table.ts';

interface Round {
  readonly needed: () => Needed;
  finish(collection?: Partial<Collection>): void;
  fail(): void;
}

let rounds: Round[];
let records: Partial<HostRecord>[];
let snapshots: { stateId: string; layers: string[] }[];
let cached: Required<Holding>;
let removed: string[];
let aside: { checkpointId: string; facts: object }[];
/** Level and facts of the logged lines. */
let logged: [level: string, facts: object][];
let nowMs: number;
/** Whether changes of the disk fail. */
let failing: boolean;
let references: References;

const broken = new Error('the disk is broken');
const fail = (): Promise<never> => Promise.reject(broken);
const logAs =
  (level: string): Logger['info'] =>
  (facts) =>
    void logged.push([level, facts]);
const logger: Logger = {
  ...{ debug: logAs('debug'), info: logAs('info'), warn: logAs('warn'), error: logAs('error') },
  child: () => logger,
};

beforeEach(() => {
  failing = false;
  [rounds, records, snapshots, removed, aside, logged, nowMs] = [[], [], [], [], [], [], 1000];
  cached = { checkpoints: [], layers: [] };
  const checkpoints = {
    collect: async (findNeeded: () => Needed | Promise<Needed>) =>
      await new Promise<Collection>((resolve, reject) => {
        rounds.push({
          needed: findNeeded as () => Needed,
          finish: (collection) => resolve({ removedCheckpoints: [], removedLayers: [], ...collection }),
          fail: () => reject(broken),
        });
      }),
    remove: (checkpointId: string) => (failing ? fail() : Promise.resolve(void removed.push(checkpointId))),
    setAside: (checkpointId: string, facts: object) =>
      failing ? fail() : Promise.resolve(void aside.push({ checkpointId, facts })),
  };
  const table = {
    all: () => records.map((record) => ({ record: { pagesFrom: '', layers: [], ...record }, live: undefined })),
  } as unknown as SandboxTable;
  const store = { list: () => snapshots } as unknown as SnapshotStore;
  references = createReferences(checkpoints, table, store, logger, { now: () => nowMs }, () => cached);
});

/** Waits until all pending promises have settled. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Sorted ids. A record that names no checkpoint has an empty id, which is left out. */
function neededIn(round: Round | undefined): { checkpoints: string[]; layers: string[] } {
  const { checkpoints, layers } = round?.needed() ?? {
    checkpoints: new Set<string>(),
    layers: new Set<string>(),
  };
  const named = (ids: ReadonlySet<string>): string[] => [...ids].filter((id) => id !== '').sort();
  return { checkpoints: named(checkpoints), layers: named(layers) };
}

describe('a collection', () => {
  it('keeps everything that records, snapshots, holders and the cache name, for whatever purpose', async () => {
    records = [
      { sandboxId: 'i1', saved: { stateId: 'saved', hasMemory: true, sizeBytes: 0 }, layers: ['below'] },
      { sandboxId: 'i2', work: { stateId: 'made', layerId: 'frozen' } as HostRecord['work'] },
      { sandboxId: 'i3', pagesFrom: 'read' },
    ];
    snapshots = [{ stateId: 'kept', layers: ['shared'] }];
    cached = { checkpoints: ['built'], layers: ['step'] };
    using _hold = references.hold({ checkpoints: ['held'], layers: ['used'] });
    void references.collect();
    await settle();
    const { checkpoints, layers } = neededIn(rounds[0]);
    expect(checkpoints).toEqual(['built', 'held', 'kept', 'made', 'read', 'saved']);
    expect(layers).toEqual(['below', 'frozen', 'shared', 'step', 'used']);
  });

  it('keeps no checkpoint for a holder of layers, and no layer for a holder of checkpoints', async () => {
    using _layers = references.hold({ layers: ['used'] });
    using _checkpoints = references.hold({ checkpoints: ['held'] });
    void references.collect();
    await settle();
    expect(neededIn(rounds[0])).toEqual({ checkpoints: ['held'], layers: ['used'] });
  });

  it('reads the named ids when the store asks for them, not at its start', async () => {
    void references.collect();
    await settle();
    const hold = references.hold({ checkpoints: ['late'] });
    expect(rounds[0]?.needed().checkpoints.has('late')).toBe(true);
    hold[Symbol.dispose]();
    expect(rounds[0]?.needed().checkpoints.has('late')).toBe(false);
  });

  it('is one round for several concurrent calls', async () => {
    const all = Promise.all([references.collect(), references.collect(), references.collect()]);
    await settle();
    expect(rounds).toHaveLength(1);
    rounds[0]?.finish();
    await all;
    expect(rounds).toHaveLength(1);
  });

  it('that is requested during a round is another round, which all calls made meanwhile share', async () => {
    const first = references.collect();
    await settle();
    const outcomes: string[] = [];
    const later = [references.collect(), references.collect(), references.collect()].map(async (round, index) => {
      await round;
      outcomes.push(`later ${index}`);
    });
    await settle();
    expect(rounds).toHaveLength(1);
    rounds[0]?.finish();
    await first;
    await settle();
    // The first round may have read the ids before these calls, so it does not answer them.
    expect([rounds.length, outcomes]).toEqual([2, []]);
    rounds[1]?.finish();
    await Promise.all(later);
    expect(rounds).toHaveLength(2);
  });

  it('that fails does not fail the call, and collections go on', async () => {
    const first = references.collect();
    await settle();
    rounds[0]?.fail();
    await first;
    const second = references.collect();
    await settle();
    rounds[1]?.finish();
    await second;
    expect(rounds).toHaveLength(2);
    expect(logged).toEqual([['error', { err: broken }]]);
  });

  it.each([
    [['s1'], []],
    [[], ['l1']],
    [['s1'], ['l1']],
  ])('that removes the checkpoints %j and the layers %j is logged', async (removedCheckpoints, removedLayers) => {
    const round = references.collect();
    await settle();
    rounds[0]?.finish({ removedCheckpoints, removedLayers });
    await round;
    expect(logged).toEqual([['info', { removedCheckpoints, removedLayers }]]);
  });

  it('that removes nothing is not logged', async () => {
    const round = references.collect();
    await settle();
    rounds[0]?.finish();
    await round;
    expect(logged).toEqual([]);
  });
});

describe('a dropped checkpoint', () => {
  it('is removed when nothing names it', async () => {
    await references.drop('s1');
    expect(removed).toEqual(['s1']);
  });

  it('is kept while a record, a snapshot or a holder names it', async () => {
    records = [{ sandboxId: 'i1', pagesFrom: 'read' }];
    snapshots = [{ stateId: 'kept', layers: [] }];
    const hold = references.hold({ checkpoints: ['held'] });
    for (const checkpointId of ['read', 'kept', 'held', '']) await references.drop(checkpointId);
    expect(removed).toEqual([]);
    hold[Symbol.dispose]();
    await references.drop('held');
    expect(removed).toEqual(['held']);
  });

  it('without an id is ignored', async () => {
    await references.drop('');
    expect(removed).toEqual([]);
  });

  it('is forgotten, so a new one with the same id counts as never used', async () => {
    references.hold({ checkpoints: ['s1'] })[Symbol.dispose]();
    expect(references.lastUseMs('s1')).toBe(1000);
    await references.drop('s1');
    expect(references.lastUseMs('s1')).toBe(0);
  });
});

it('a checkpoint that cannot be removed or set aside does not fail the call, and is logged as an error', async () => {
  const record = { sandboxId: 'i1', templateId: 't', pagesFrom: 's1' } as HostRecord;
  failing = true;
  await references.drop('s1');
  records = [record];
  await references.setAside('s1', record, 5);
  expect([removed, aside]).toEqual([[], []]);
  expect(logged).toEqual([
    ['error', { checkpointId: 's1', err: broken }],
    ['error', { sandboxId: 'i1', checkpointId: 's1', err: broken }],
  ]);
});

it('a damaged checkpoint is set aside, unless something else needs it where it is', async () => {
  const record = { sandboxId: 'i1', templateId: 't', pagesFrom: 's1' } as HostRecord;
  records = [record, { sandboxId: 'i2', pagesFrom: 's1' }];
  await references.setAside('s1', record, 5);
  await references.setAside('', record, 5);
  expect(aside).toEqual([]);
  records = [{ ...record, pagesFrom: '' }];
  await references.setAside('', record, 5);
  expect(aside).toEqual([]);
  records = [record];
  await references.setAside('s1', record, 5);
  expect(aside).toEqual([{ checkpointId: 's1', facts: { sandboxId: 'i1', templateId: 't', foundAtMs: 5 } }]);
  expect(logged).toEqual([['warn', { sandboxId: 'i1', checkpointId: 's1' }]]);
});

it('a holder of layers alone uses no checkpoint', () => {
  using _hold = references.hold({ layers: ['used'] });
  expect(references.lastUseMs('s1')).toBe(0);
});

it('the last use of a checkpoint is the end of its last holder, and is forgotten with the checkpoint', async () => {
  expect(references.lastUseMs('s1')).toBe(0);
  const [one, two] = [references.hold({ checkpoints: ['s1'] }), references.hold({ checkpoints: ['s1'] })];
  nowMs = 2000;
  one[Symbol.dispose]();
  expect(references.lastUseMs('s1')).toBeUndefined();
  nowMs = 3000;
  two[Symbol.dispose]();
  expect(references.lastUseMs('s1')).toBe(3000);
  const round = references.collect();
  await settle();
  rounds[0]?.finish({ removedCheckpoints: ['s1'] });
  await round;
  expect(references.lastUseMs('s1')).toBe(0);
});
