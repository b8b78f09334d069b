// Measures what the log of connections costs: `node packages/network/src/testing/measure.ts`, as root, on a quiet machine.
// A sandbox without a policy opens and closes connections one after the other, with and without the log in turn.
import { setTimeout as sleep } from 'node:timers/promises';
import { silentLogger } from '@soulbox/base/logger';
import { openFlowLog } from '../flows/flow-log.ts';
import { openNetwork } from '../network.ts';
import { openNetworkLab } from './network-lab.ts';

const instance = 18;
const address = '203.0.113.58';
const rounds = 5;
/** Of one round. The log has no more of one sandbox at once. */
const connections = 1000;

await using lab = await openNetworkLab({
  ...{ instance, resolver: '192.168.81.53' },
  outside: { host: '203.0.113.49/28', addresses: [`${address}/28`] },
  inside: { host: '192.168.81.1/24', addresses: ['192.168.81.53/24'] },
});

/** Milliseconds for each connection, milliseconds of CPU of this process for each, and records. */
async function measure(slot: number, isLogged: boolean): Promise<{ ms: number; cpuMs: number; records: number }> {
  let records = 0;
  const options = { instance, logger: silentLogger, onRecord: (): void => void (records += 1) };
  using flowLog = isLogged ? openFlowLog(options) : undefined;
  const network = await openNetwork({ ...lab.options, flowLog });
  const sandbox = await lab.start();
  await network.attach(slot, sandbox.path);
  const churn = { op: 'churn', host: address, port: 8080, lanes: 1 } as const;
  const cpu = process.cpuUsage();
  const started = performance.now();
  await sandbox.ask({ ...churn, count: connections });
  const ms = (performance.now() - started) / connections;
  // The last are read a second after their end, 100 at a time.
  await sleep(4000);
  const { user, system } = process.cpuUsage(cpu);
  await network.detach(slot);
  await sandbox.stop();
  return { ms, cpuMs: (user + system) / 1000 / connections, records };
}

await measure(10, false);
for (let round = 0; round < rounds; round += 1) {
  const [without, withLog] = [await measure(20 + round, false), await measure(40 + round, true)];
  process.stdout.write(`${JSON.stringify({ without, with: withLog })}\n`);
}
