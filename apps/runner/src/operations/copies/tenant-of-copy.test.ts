import { expect, it } from 'vitest';
import { plainLifecycle } from '../../registry/record.ts';
import type { Tenant } from '../../registry/record.ts';
import { tenantOfCopy } from './tenant-of-copy.ts';

const source: Tenant = {
  ...{
    teamId: 'theirs',
    keyId: 'their-key',
    creationId: 'c',
    alias: 'base',
    startedAtMs: 1,
    endAtMs: 2,
    metadata: { name: 'source' },
  },
  network: { allowOut: ['8.8.8.8'], denyOut: [], allowInternetAccess: false, maskRequestHost: 'x' },
  ...{ envdAccessToken: 'a'.repeat(64), trafficAccessToken: 'b'.repeat(64) },
  lifecycle: { ...plainLifecycle, timeoutSeconds: 30 },
  settings: {
    envVars: { E2B_SANDBOX_ID: 'isource', E2B_TEAM_ID: 'theirs', OWN: '1' },
    ...{ defaultUser: 'user', defaultWorkdir: '/home/user' },
  },
};
const copy = tenantOfCopy(source, 'icopy', { teamId: 'ours' }, 1000);

it.each(['envdAccessToken', 'trafficAccessToken'] as const)('each copy has a different %s', (token) => {
  const other = tenantOfCopy(source, 'iother', {}, 1000);
  const tokens = [source[token], copy[token], other[token]];
  expect(new Set(tokens).size).toBe(3);
  for (const each of tokens) expect(each).toMatch(/^[0-9a-f]{64}$|^[ab]{64}$/);
  expect(copy.envdAccessToken).not.toBe(copy.trafficAccessToken);
});

it('a copy requires no token when its source requires none', () => {
  const open = tenantOfCopy({ ...source, envdAccessToken: '', trafficAccessToken: '' }, 'icopy', {}, 1000);
  expect([open.envdAccessToken, open.trafficAccessToken]).toEqual(['', '']);
});

it('a copy has its own id and team, and everything else from its source', () => {
  expect(copy.settings).toEqual({
    ...source.settings,
    envVars: { E2B_SANDBOX_ID: 'icopy', E2B_TEAM_ID: 'ours', OWN: '1' },
  });
  expect(copy).toMatchObject({
    teamId: 'ours',
    keyId: '',
    creationId: '',
    metadata: { name: 'source' },
    network: source.network,
  });
  expect(source.settings.envVars['E2B_SANDBOX_ID']).toBe('isource');
});

it('the time of a copy starts now, with its own timeout or that of its source', () => {
  expect([copy.startedAtMs, copy.endAtMs]).toEqual([1000, 31_000]);
  const own = { lifecycle: { ...plainLifecycle, timeoutSeconds: 5 } };
  expect(tenantOfCopy(source, 'icopy', own, 1000).endAtMs).toBe(6000);
});
