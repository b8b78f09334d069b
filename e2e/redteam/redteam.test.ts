/** @module-tag violation */
import { expect, test } from 'vitest';
import { getIsolation } from '../harness/long-run.ts';
import { apiKey, apiUrl, server } from '../harness/server.ts';
import { quickAttempts } from './all-attempts.ts';
import { renderTable } from './render-table.ts';
import { runRedteam } from './run-redteam.ts';
import { openWorld } from './world.ts';

// The short form of `npm run test:redteam`, without races, floods and everything that waits.
test('no program inside and no client outside gets through a wall', { timeout: 240_000 }, async () => {
  const { pid, port, instance, dataDirectory } = server;
  const { ownKernel } = server.capabilities;
  const isolation = getIsolation(server.isolation);
  await using world = await openWorld({
    ...{ pid, port, instance, dataDirectory, isolation, ownKernel, apiKey, apiUrl },
  });
  const results = await runRedteam(world, quickAttempts);
  const bad = results.filter(({ verdict }) => verdict !== 'held');
  console.log(
    renderTable(bad.length > 0 ? bad : results)
      .split('\n')
      .slice(-3)
      .join('\n'),
  );
  expect(results.length).toBeGreaterThan(300);
  expect(bad.map(({ verdict, by, name, evidence }) => `${verdict} by ${by}: ${name}: ${evidence}`)).toEqual([]);
});
