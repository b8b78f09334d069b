import { X509Certificate } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { SoulBoxError } from '@soulbox/base';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { TenantNetwork } from '../registry/record.ts';
import { createOperationBench } from '../testing/operation-bench.ts';
import type { OperationBench } from '../testing/operation-bench.ts';
import { setNetworkPolicy } from './set-network-policy.ts';

let bench: OperationBench;
let sandboxId: string;
let slot: number;
beforeEach(async () => {
  bench = await createOperationBench();
  const network = { allowOut: [], denyOut: [], allowPublicTraffic: false, maskRequestHost: 'masked' };
  const tokens = { cloud: { audience: 'a', tokenType: 'JWT-SVID' } };
  const { record } = await bench.addRunning({ network: { ...network, identityTokens: tokens } });
  ({ sandboxId, slot } = record);
});
afterEach(() => bench[Symbol.asyncDispose]());

const only = (...allowOut: string[]): TenantNetwork => ({ allowOut, denyOut: ['0.0.0.0/0'], maskRequestHost: '' });
const ruled = (host: string): TenantNetwork => ({
  ...{ allowOut: [], denyOut: [], maskRequestHost: '' },
  rules: { [host]: { headers: { 'x-key': 'v' }, requests: [] } },
});
const set = async (network: TenantNetwork) => (await setNetworkPolicy(bench.context, sandboxId, network)).record.tenant;
const trusted = async () => (await bench.envd.requests()).filter(({ path }) => path === '/soulbox/trust');

it('replaces what concerns the outside, on the disk and in the network, and keeps the rest', async () => {
  const { network } = await set(only('a.test'));
  const kept = { allowPublicTraffic: false, maskRequestHost: 'masked' };
  expect(network).toMatchObject({ ...only('a.test'), ...kept, identityTokens: { cloud: { audience: 'a' } } });
  expect((await bench.readRecord(sandboxId))?.tenant?.network).toEqual(network);
  expect(bench.network.policies.get(slot)).toMatchObject({ sandboxId, teamId: 'team', allowOut: ['a.test'] });
  expect(bench.events).toHaveLength(1);
  expect(await trusted()).toEqual([]);
  expect((await set(only())).network.allowOut).toEqual([]);
});

it.each([
  ['a domain in a policy that is open otherwise', { ...only('a.test'), denyOut: [] }],
  ['a bad address', only('1.2.3.4/99')],
  ['too many entries', only(...Array.from({ length: 1001 }, () => '1.1.1.1'))],
])('refuses %s and changes nothing', async (_, network) => {
  await set(only('b.test'));
  await expect(set(network)).rejects.toMatchObject({
    reason: expect.stringMatching(/bad_request|limit_exceeded/) as string,
  });
  expect(bench.context.table.getRunning(sandboxId).record.tenant.network.allowOut).toEqual(['b.test']);
  expect(bench.network.policies.get(slot)).toMatchObject({ allowOut: ['b.test'] });
});

it('lets the sandbox trust an authority before rules are in effect, and keeps it for later rules', async () => {
  const { authority } = await set(ruled('a.test'));
  expect(new X509Certificate(authority?.certificate ?? '').ca).toBe(true);
  expect(bench.network.policies.get(slot)).toMatchObject({ authority });
  const [told] = await trusted();
  expect(told?.body).toMatchObject({ certificate: authority?.certificate });
  expect(JSON.stringify(await bench.envd.requests())).not.toContain('PRIVATE');
  expect((await set(only('b.test'))).authority).toEqual(authority);
  expect((await set(ruled('c.test'))).authority).toEqual(authority);
  expect((await bench.readRecord(sandboxId))?.tenant?.authority).toEqual(authority);
});

it('is in effect although the sandbox does not let itself be told whom to trust, and tells it later', async () => {
  await set(only('b.test'));
  await bench.envd.answer('/soulbox/trust', 500);
  await set(ruled('a.test'));
  const record = () => bench.context.table.getRunning(sandboxId).record;
  expect([record().tenant.network.allowOut, record().tenant.authority]).toEqual([[], undefined]);
  const policy = () => bench.network.policies.get(slot);
  expect(policy()).toMatchObject({ ...ruled('a.test'), authority: undefined, maskRequestHost: 'masked' });
  await bench.envd.forget();
  await vi.waitFor(() => expect(record().tenant.authority).toBeDefined(), { timeout: 5000 });
  await vi.waitFor(() => expect(policy()).toMatchObject({ authority: record().tenant.authority }));
});

const recorded = async () => (await bench.readRecord(sandboxId))?.tenant?.network.allowOut;
const known = () => bench.context.table.getRunning(sandboxId).record.tenant.network.allowOut;
const enforced = () => bench.network.policies.get(slot)?.allowOut;
const failure = new Error('nft');
const fail = () => Promise.reject(failure);

it('keeps the old policy everywhere if the filter refuses the new one', async () => {
  await set(only('a.test'));
  bench.network.beforeSet.push(fail);
  await expect(set(only('b.test'))).rejects.toBe(failure);
  expect([known(), await recorded(), enforced()]).toEqual([['a.test'], ['a.test'], ['a.test']]);
});

it('puts the old policy back if the filter has taken the new one only in part', async () => {
  await set(only('a.test'));
  const partly = () => {
    (bench.network.policies as Map<number, object>).set(slot, only('b.test'));
    return fail();
  };
  bench.network.beforeSet.push(partly);
  await expect(set(only('b.test'))).rejects.toBe(failure);
  expect([known(), await recorded(), enforced()]).toEqual([['a.test'], ['a.test'], ['a.test']]);
  // Also if that fails at first.
  bench.network.beforeSet.push(partly, fail, fail);
  await expect(set(only('b.test'))).rejects.toBe(failure);
  expect([known(), await recorded(), enforced()]).toEqual([['a.test'], ['a.test'], ['b.test']]);
  await vi.waitFor(() => expect(enforced()).toEqual(['a.test']), { timeout: 5000 });
  expect(bench.network.beforeSet).toEqual([]);
});

it('puts the old policy back if the new one cannot be recorded', async () => {
  await set(only('a.test'));
  const { store } = bench.context.host;
  const write = store.write.bind(store);
  const full = new SoulBoxError('disk_full', 'no room');
  store.write = () => Promise.reject(full);
  await expect(set(only('b.test'))).rejects.toBe(full);
  store.write = write;
  expect([known(), await recorded(), enforced()]).toEqual([['a.test'], ['a.test'], ['a.test']]);
});

it('gives the repair up when a newer policy has taken effect, or the sandbox has ended', async () => {
  await set(only('a.test'));
  bench.network.beforeSet.push(fail, fail);
  await expect(set(only('b.test'))).rejects.toBe(failure);
  await set(only('c.test'));
  await sleep(700);
  expect([known(), enforced()]).toEqual([['c.test'], ['c.test']]);
  bench.network.beforeSet.push(fail, fail);
  await expect(set(only('b.test'))).rejects.toBe(failure);
  await bench.context.abandon(sandboxId);
  await sleep(700);
  expect(bench.network.policies.has(slot)).toBe(false);
});

it('records the new policy only after it is enforced, so that a crash leaves what the next server restores', async () => {
  await set(only('a.test'));
  const { promise, resolve } = Promise.withResolvers<undefined>();
  bench.network.beforeSet.push(() => promise);
  const done = set(only('b.test'));
  await vi.waitFor(() => expect(bench.network.beforeSet).toEqual([]));
  expect(await recorded()).toEqual(['a.test']);
  resolve(undefined);
  await done;
  expect([await recorded(), enforced()]).toEqual([['b.test'], ['b.test']]);
});

it('waits for the current step of the sandbox', async () => {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const step = bench.context.table.alone(sandboxId, async () => await promise);
  const done = set(only('a.test'));
  await Promise.resolve(undefined);
  expect(bench.network.policies.get(slot)?.allowOut ?? []).toEqual([]);
  resolve(undefined);
  await Promise.all([step, done]);
});
