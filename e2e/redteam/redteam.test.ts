/** @module-tag violation */
import { rm } from 'node:fs/promises';
import { startServer } from '@soulbox/testing';
import { expect, test } from 'vitest';
import { getIsolation } from '../harness/long-run.ts';
import { server as shared } from '../harness/server.ts';
import { quickAttempts } from './all-attempts.ts';
import { openIdentityProvider } from './identity-provider.ts';
import { prepareInternet } from './internet.ts';
import { renderTable } from './render-table.ts';
import { runRedteam } from './run-redteam.ts';
import { openWorld, targetOf } from './world.ts';

const instance = 2;

// The short form of `npm run test:redteam`, without races, floods and everything that waits. The server knows only the
// names of the stand-in.
test('no program inside and no client outside gets through a wall', { timeout: 300_000 }, async () => {
  const isolation = getIsolation(shared.isolation);
  await using internet = await prepareInternet(instance);
  await using identity = await openIdentityProvider();
  const server = await startServer({
    instance,
    port: identity.port,
    environment: { SOULBOX_ISOLATION: isolation, ...internet.environment, ...identity.environment },
  });
  try {
    // For the official client.
    Object.assign(process.env, server.clientEnvironment);
    const target = targetOf(server, { isolation, ownKernel: shared.capabilities.ownKernel });
    await using world = await openWorld(target, internet, identity);
    const results = await runRedteam(world, quickAttempts);
    const bad = results.filter(({ verdict }) => verdict !== 'held');
    console.log(
      renderTable(bad.length > 0 ? bad : results)
        .split('\n')
        .slice(-3)
        .join('\n'),
    );
    expect(results.length).toBeGreaterThan(600);
    expect(bad.map(({ verdict, by, name, evidence }) => `${verdict} by ${by}: ${name}: ${evidence}`)).toEqual([]);
  } finally {
    await server.stop();
    await rm(server.dataDirectory, { recursive: true });
  }
});
