import { SoulBoxError } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import type { CopiedVolume } from '@soulbox/storage';
import { beforeEach, expect, test } from 'vitest';
import { createStagedVolumes } from './stage-volumes.ts';
import type { StagedVolumes } from './stage-volumes.ts';

const volume = (id: string, more: Partial<CopiedVolume> = {}): CopiedVolume => ({
  ...{ id, teamId: 't', groupId: id, isUsed: true, isCopying: false },
  ...more,
});
let calls: string[];
let refusals: Map<string, SoulBoxError[]>;
let reports: object[];
let hasVolumes: boolean;
let staged: StagedVolumes;
const call = async (name: string): Promise<void> => {
  calls.push(name);
  const refusal = refusals.get(name)?.shift();
  await Promise.resolve();
  if (refusal !== undefined) throw refusal;
};
beforeEach(() => {
  calls = [];
  refusals = new Map();
  reports = [];
  hasVolumes = true;
  staged = createStagedVolumes({
    staging: {
      begin: async () => await call('begin'),
      finish: async ({ id }) => await call(id),
      drop: async () => await call('drop'),
    },
    hasVolumes: async () => await Promise.resolve(hasVolumes),
    logger: silentLogger,
  });
});
const { signal } = new AbortController();
const finish = async (volumes: CopiedVolume[], left = signal): Promise<void> =>
  await staged.finish(volumes, (report) => void reports.push(report), left);
const refuse = (name: string, ...errors: SoulBoxError[]): void => void refusals.set(name, errors);
const away = (): SoulBoxError => new SoulBoxError('volumes_unavailable', 'It does not answer.');

test('all volumes are reported, and the service is asked only for those that were used', async () => {
  await staged.begin(signal);
  await finish([volume('a'), volume('b', { isUsed: false })]);
  expect(calls).toEqual(['begin', 'a']);
  expect(reports).toEqual([
    { what: 'volume', id: 'a' },
    { what: 'volume', id: 'b' },
  ]);
});

test('a server without used volumes does not start the service for a backup', async () => {
  hasVolumes = false;
  await staged.begin(signal);
  await finish([volume('a', { isUsed: false })]);
  await staged.giveUp();
  expect(calls).toEqual([]);
});

test('a volume whose first use came after the begin is saved too', async () => {
  hasVolumes = false;
  await staged.begin(signal);
  await finish([volume('a')]);
  expect(calls).toEqual(['begin', 'a']);
});

test('a volume that cannot be saved is left out with the reason, one that was deleted is not named as left out', async () => {
  await staged.begin(signal);
  refuse('a', new SoulBoxError('volume_damaged', 'Damaged.'));
  refuse('b', new SoulBoxError('volume_not_found', 'Deleted.'));
  await finish([volume('a'), volume('b'), volume('c')]);
  expect(reports).toEqual([
    { what: 'volume', id: 'a', leftOut: 'Damaged.' },
    { what: 'volume', id: 'b' },
    { what: 'volume', id: 'c' },
  ]);
});

test('the contents of a copy that is being made are saved, and nobody hears of it', async () => {
  await staged.begin(signal);
  refuse('b', new SoulBoxError('volume_damaged', 'Damaged.'));
  await finish([volume('a', { isCopying: true }), volume('b', { isCopying: true })]);
  expect([calls, reports]).toEqual([['begin', 'a', 'b'], []]);
});

test('a service that was killed is asked once more; one that stays away is not asked for each volume', async () => {
  await staged.begin(signal);
  refuse('a', away());
  refuse('b', away(), away());
  await finish([volume('a'), volume('b'), volume('c'), volume('d', { isUsed: false })]);
  expect(calls).toEqual(['begin', 'a', 'a', 'b', 'b']);
  expect(reports).toEqual([
    { what: 'volume', id: 'a' },
    { what: 'volume', id: 'b', leftOut: 'It does not answer.' },
    { what: 'volume', id: 'c', leftOut: 'It does not answer.' },
    { what: 'volume', id: 'd' },
  ]);
});

test('a begin that fails is tried again for the first volume', async () => {
  refuse('begin', away());
  await staged.begin(signal);
  await finish([volume('a')]);
  expect(calls).toEqual(['begin', 'begin', 'a']);
  expect(reports).toEqual([{ what: 'volume', id: 'a' }]);
});

test('a full disk and a caller who leaves end it, and nothing stays', async () => {
  await staged.begin(signal);
  refuse('a', new SoulBoxError('disk_full', 'Full.'));
  await expect(finish([volume('a'), volume('b')])).rejects.toMatchObject({ reason: 'disk_full' });
  refuse('a', new SoulBoxError('internal', 'aborted'));
  const left = AbortSignal.abort(new Error('left'));
  await expect(finish([volume('a'), volume('b')], left)).rejects.toThrow('left');
  refuse('drop', away());
  await staged.giveUp();
  expect([calls, reports]).toEqual([['begin', 'a', 'a', 'drop'], []]);
});
