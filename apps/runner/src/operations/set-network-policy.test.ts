import { X509Certificate } from 'node:crypto';
import { afterEach, beforeEach, expect, it } from 'vitest';
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

it('is in effect although the sandbox does not let itself be told whom to trust', async () => {
  await set(only('b.test'));
  await bench.envd.answer('/soulbox/trust', 500);
  await expect(set(ruled('a.test'))).rejects.toMatchObject({ reason: 'sandbox_unreachable' });
  const { tenant } = bench.context.table.getRunning(sandboxId).record;
  expect([tenant.network.allowOut, tenant.authority]).toEqual([[], undefined]);
  expect(bench.network.policies.get(slot)).toMatchObject({
    ...ruled('a.test'),
    authority: undefined,
    maskRequestHost: 'masked',
  });
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
