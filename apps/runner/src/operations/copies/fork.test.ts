import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SoulBoxError } from '@soulbox/base';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { pauseSandbox } from '../pause/pause.ts';
import { createOperationBench } from '../../testing/operation-bench.ts';
import type { OperationBench } from '../../testing/operation-bench.ts';
import type { RunningSandbox } from '../../registry/table.ts';
import { forkSandbox } from './fork.ts';
import { makeSnapshot } from './snapshot.ts';
import type { ForkOutcome, ForkRequest } from './fork.ts';

let bench: OperationBench;
let source: RunningSandbox;
beforeEach(async () => {
  bench = await createOperationBench({ maxSandboxes: 5 });
  const network = { allowInternetAccess: false, allowOut: [], denyOut: [], maskRequestHost: '' };
  const tokens = { envdAccessToken: 'a'.repeat(64), trafficAccessToken: 'b'.repeat(64) };
  source = await bench.addRunning({ network, ...tokens });
});
afterEach(() => bench[Symbol.asyncDispose]());

const fork = (count: number, more: Partial<ForkRequest> = {}): Promise<ForkOutcome[]> =>
  forkSandbox(bench.context, {
    source: { sandboxId: source.record.sandboxId },
    count,
    timeoutSeconds: 30,
    teamId: 't',
    ...{ keyId: 'k', creationId: 'c' },
    ...{ secure: false, ...more },
  });
const madeOf = (outcomes: ForkOutcome[]): RunningSandbox[] =>
  outcomes.flatMap((outcome) => ('sandbox' in outcome ? [outcome.sandbox] : []));
const kindsOfEvents = (): unknown[] => bench.events.map(({ kind }) => kind);

describe('the limit of the host', () => {
  it('counts all copies together: if they do not all fit, none is made', async () => {
    await expect(fork(5)).rejects.toMatchObject({ reason: 'too_many_sandboxes' });
    expect(bench.driver.calls.filter((call) => !call.startsWith('start'))).toEqual([]);
    expect(bench.context.table.running()).toHaveLength(1);
    expect(madeOf(await fork(4))).toHaveLength(4);
    await expect(fork(1)).rejects.toMatchObject({ reason: 'too_many_sandboxes' });
  });

  it('includes copies that are being made', async () => {
    const made = fork(3);
    await expect(fork(2)).rejects.toMatchObject({ reason: 'too_many_sandboxes' });
    expect(madeOf(await made)).toHaveLength(3);
  });

  it('is not used up by a fork that failed', async () => {
    bench.driver.failNext('freeze', new Error('does not stop'));
    await expect(fork(4)).rejects.toThrow();
    expect(madeOf(await fork(4))).toHaveLength(4);
  });
});

it.each([0, -1, 101, 1.5, NaN])('a count of %d is refused', async (count) => {
  await expect(fork(count)).rejects.toMatchObject({ reason: 'bad_request' });
});

describe('a copy', () => {
  it('of a sandbox without a token has one if that is asked for', async () => {
    source = await bench.addRunning({ envdAccessToken: '' });
    const tokens = madeOf(await fork(2, { secure: true })).map(({ record }) => record.tenant.envdAccessToken);
    expect(new Set(tokens).size).toBe(2);
    for (const token of tokens) expect(token).toMatch(/^[0-9a-f]{64}$/);
    expect(madeOf(await fork(1)).map(({ record }) => record.tenant.envdAccessToken)).toEqual(['']);
  });

  it('has tokens of its own, and its envd gets them before the copy is served', async () => {
    const copies = madeOf(await fork(2));
    const requests = (await bench.envd.requests()).filter(({ path }) => path === '/resumed');
    expect(requests).toHaveLength(2);
    for (const { record } of copies) {
      const told = requests.find(({ hostToken }) => hostToken === record.hostToken)?.body;
      expect(told).toMatchObject({
        ...{ sandboxId: record.sandboxId, isCopy: true, generation: record.generation },
        accessToken: record.tenant.envdAccessToken,
      });
    }
    const tokens = [source, ...copies].flatMap(({ record: { tenant, hostToken, generation } }) => [
      ...[tenant.envdAccessToken, tenant.trafficAccessToken, hostToken, generation],
    ]);
    expect(new Set(tokens).size).toBe(12);
  });

  it('has the id of the call that made it, and not that of its source', async () => {
    for (const { record } of madeOf(await fork(2))) expect(record.tenant.creationId).toBe('c');
    for (const { record } of madeOf(await fork(1, { creationId: '' }))) expect(record.tenant.creationId).toBe('');
  });

  it('has the policy of its source', async () => {
    for (const { record } of madeOf(await fork(2)))
      expect(bench.network.policies.get(record.slot)).toMatchObject({ allowInternetAccess: false });
  });

  it.each([500, 401, 0])(
    'whose envd does not confirm (%i) is not served, and is removed completely',
    async (status) => {
      await bench.envd.answer('/resumed', status);
      const outcomes = await fork(2);
      for (const outcome of outcomes) expect(outcome).toMatchObject({ failure: { reason: 'sandbox_resume_failed' } });
      expect(bench.context.table.all().map(({ record }) => record.sandboxId)).toEqual([source.record.sandboxId]);
      expect((await bench.context.host.store.load()).records).toHaveLength(1);
      expect([...bench.network.policies.keys()]).toEqual([source.record.slot]);
      expect(kindsOfEvents()).not.toContain('created');
    },
  );

  it('of a paused sandbox is made from its checkpoint, which stays unchanged', async () => {
    const { sandboxId } = source.record;
    await pauseSandbox(bench.context, sandboxId, { keepMemory: true, durability: 'on-return', cause: 'request' });
    const before = (await bench.readRecord(sandboxId))?.saved?.stateId;
    expect(madeOf(await fork(2))).toHaveLength(2);
    const after = await bench.readRecord(sandboxId);
    expect([after?.state, after?.saved?.stateId]).toEqual(['paused', before]);
  });
});

// A small disk is copied beside the running source. A large one becomes a layer, on which the source continues.
describe.each([
  ['small', 1],
  ['large', 2 ** 30],
])('until the %s disk of the source is sealed', (_size, diskUsedBytes) => {
  beforeEach(() => {
    const sample = bench.driver.sample(source.live.instance);
    vi.spyOn(bench.driver, 'sample').mockReturnValue({ ...sample, diskUsedBytes });
  });
  const tenants = (): string[] => bench.context.table.tenants().map(({ record }) => record.sandboxId);

  it('its copies are not announced, although they run', async () => {
    const { promise: sealed, resolve: seal } = Promise.withResolvers<undefined>();
    const { checkpoints } = bench.context.host;
    const sealLayer = checkpoints.sealLayer.bind(checkpoints);
    vi.spyOn(checkpoints, 'sealLayer').mockImplementation(async (layerId) => {
      await sealed;
      await sealLayer(layerId);
    });
    const made = fork(2);
    const confirmed = async (): Promise<number> =>
      (await bench.envd.requests()).filter(({ path, body }) => path === '/resumed' && body?.['isCopy'] === true).length;
    await expect.poll(confirmed, { timeout: 5000 }).toBe(2);
    expect([kindsOfEvents(), tenants()]).toEqual([[], [source.record.sandboxId]]);
    seal(undefined);
    const copies = madeOf(await made).map(({ record }) => record.sandboxId);
    expect(new Set(tenants())).toEqual(new Set([source.record.sandboxId, ...copies]));
    expect(kindsOfEvents()).toEqual(['created', 'created', 'checkpointed']);
  });

  it('and that fails, the copies are never announced, and are removed completely', async () => {
    const full = new SoulBoxError('disk_full', 'no room for digests');
    vi.spyOn(bench.context.host.checkpoints, 'sealLayer').mockRejectedValue(full);
    await expect(fork(2)).rejects.toMatchObject({ reason: 'disk_full' });
    expect([kindsOfEvents(), tenants()]).toEqual([[], [source.record.sandboxId]]);
    expect(bench.context.table.all()).toHaveLength(1);
    expect((await bench.context.host.store.load()).records).toHaveLength(1);
  });
});

it('the source continues, whatever happens to its copies', async () => {
  await bench.envd.answer('/resumed', 500);
  await fork(3);
  expect(source.record.state).toBe('running');
  expect(bench.driver.stateOf(source.record.sandboxId)).toBe('running');
});

const withLargeDisk = (): void => void (bench.driver.diskUsedBytes = 2 ** 30);

it('processes of the source that do not end keep its slot', async () => {
  const { slot } = source.record;
  withLargeDisk();
  bench.driver.failNext('suspend', new Error('a process does not end'));
  await expect(fork(1)).rejects.toMatchObject({ reason: 'checkpoint_failed' });
  await bench.context.background[Symbol.asyncDispose]();
  expect(source.record.state).toBe('running');
  expect(source.record.slot).not.toBe(slot);
  expect([(await bench.addRunning()).record.slot, source.record.slot]).not.toContain(slot);
});

it('the slot of a source that ended is free again', async () => {
  withLargeDisk();
  const [copy] = madeOf(await fork(1));
  await bench.context.background[Symbol.asyncDispose]();
  const slots = [source, copy, await bench.addRunning()].map((sandbox) => sandbox?.record.slot);
  expect(slots.toSorted()).toEqual([1, 2, 3]);
});

describe('of a snapshot whose memory only the object store has', () => {
  const asked = ['pages-1.img:3', 'pages-1.img:0'];
  const expected: (readonly string[] | undefined)[] = [];

  async function arrive(whole: Promise<void>): Promise<string> {
    const { host, snapshots } = bench.context;
    Object.assign(bench.driver.capabilities, { lazyRestore: true });
    const save = bench.driver.checkpoint.bind(bench.driver);
    bench.driver.checkpoint = async (instance, directory) => {
      await save(instance, directory);
      await writeFile(join(directory, 'pages-1.img'), Buffer.alloc(9 * 2 ** 20));
    };
    await makeSnapshot(bench.context, source.record.sandboxId, 'snap');
    const { stateId } = snapshots.get('snap');
    const checkpoint = await host.checkpoints.open(stateId);
    const late = async (_id: string, firstBlocks?: readonly string[]) => {
      expected.push(firstBlocks);
      const arriving = { checkpoint, blocks: { path: '', count: 9, first: {} }, whole, asked: () => asked };
      return await Promise.resolve({ ...arriving, keep: () => undefined, [Symbol.dispose]: () => undefined });
    };
    Object.assign(host, { stored: { ...host.stored, late } });
    expected.length = 0;
    return stateId;
  }
  const copy = async (count = 1): Promise<RunningSandbox[]> =>
    madeOf(await fork(count, { source: { snapshotId: 'snap' }, teamId: source.record.tenant.teamId }));

  it('one copy begins without it, keeps the checkpoint, and its first blocks are noted for the next', async () => {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const stateId = await arrive(promise);
    const { snapshots, references } = bench.context;
    expect((await copy())[0]?.record.pagesFrom).toBe(stateId);
    expect(snapshots.get('snap').firstBlocks).toBeUndefined();
    resolve(undefined);
    await expect.poll(() => snapshots.get('snap').firstBlocks).toEqual(asked);
    await copy();
    expect(expected).toEqual([undefined, asked]);
    await snapshots.remove('snap');
    expect(references.needed().checkpoints.has(stateId)).toBe(true);
  });

  it('nothing is noted if it never arrives, and several copies wait for all of it', async () => {
    const failed = Promise.reject(new Error('it is damaged'));
    failed.catch(() => undefined);
    await arrive(failed);
    await copy();
    await new Promise((done) => setTimeout(done, 20));
    expect(bench.context.snapshots.get('snap').firstBlocks).toBeUndefined();
    expect((await copy(2)).map(({ record }) => record.pagesFrom)).toEqual(['', '']);
    expect(expected).toHaveLength(1);
  });
});
