import { rm } from 'node:fs/promises';
import { silentLogger } from '@soulbox/base/logger';
import { createDrivers } from '@soulbox/box/drivers';
import { startServer } from '@soulbox/testing';
import { getIsolation, placeOptions, progressOf, readOptions, untilToldToEnd } from '../harness/long-run.ts';
import { allAttempts, quickAttempts } from './all-attempts.ts';
import { renderTable } from './render-table.ts';
import { runRedteam } from './run-redteam.ts';
import { openIdentityProvider } from './identity-provider.ts';
import { prepareInternet } from './internet.ts';
import { openWorld, targetOf } from './world.ts';

const values = readOptions({
  ...placeOptions,
  instance: { type: 'string', default: '10' },
  only: { type: 'string', default: '' },
  quick: { type: 'boolean', default: false },
});
const isolation = getIsolation(values.isolation);
const instance = Number(values.instance);
const attempts = (values.quick ? quickAttempts : allAttempts).filter(({ name, wall }) =>
  values.only.split('|').some((text) => `${wall} ${name}`.includes(text)),
);
if (attempts.length === 0) throw new Error(`No attempt and no wall has "${values.only}" in its name.`);
const signal = untilToldToEnd();
const driver = (await createDrivers(instance, silentLogger)).get(isolation);
if (driver === undefined) throw new Error(`There is no driver ${isolation}.`);
await using internet = await prepareInternet(instance);
await using identity = await openIdentityProvider();
const environment = { SOULBOX_ISOLATION: isolation, ...internet.environment, ...identity.environment };
const server = await startServer({ instance, port: identity.port, environment });
let failed = true;
try {
  // For the official client.
  Object.assign(process.env, server.clientEnvironment);
  const target = targetOf(server, { isolation, ownKernel: driver.capabilities.ownKernel });
  await using world = await openWorld(target, internet, identity);
  const results = await runRedteam(world, attempts, { onProgress: progressOf('redteam'), signal });
  console.log(renderTable(results));
  failed = results.some(({ verdict }) => verdict !== 'held');
} finally {
  await server.stop();
  if (failed) console.error(`The data and the log of the server are in ${server.dataDirectory}.`);
  else await rm(server.dataDirectory, { recursive: true });
}
process.exit(failed ? 1 : 0);
