import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Sandbox } from 'e2b';
import { createTally } from '../chaos/cycle-context.ts';
import type { CycleContext } from '../chaos/cycle-context.ts';
import { createRandom } from '../chaos/random.ts';
import { endEverything } from '../chaos/verify.ts';
import { createHostileSandbox } from './hostile-ports.ts';
import type { SoakMessage, SoakOrder } from './messages.ts';
import { keepOperating } from './operations.ts';
import { keepProbing } from './probe.ts';

// The clients of a soak: normal ones here, and hostile ones in a separate process. Started by run-soak.ts with the
// variables of a client.
const order = JSON.parse(process.argv[2] ?? '') as SoakOrder;
const latencies = { alone: [] as number[], attacked: [] as number[] };
const shared = createTally();

/** Calls back when it is sent, because the latencies of an hour do not fit into a pipe at once. */
function report(message: SoakMessage, sent?: () => void): void {
  // Nobody listens any more after the soak was aborted.
  if (process.connected) process.send?.(message, undefined, undefined, sent);
}

/** Normal traffic for this long, with measured calls. */
async function useServer(probed: Sandbox, seconds: number, durations: number[]): Promise<void> {
  const stop = new AbortController();
  const probing = keepProbing(probed, durations, stop.signal).catch((error: unknown) => {
    shared.violations.push(`a normal call failed: ${error instanceof Error ? error.message : String(error)}`);
  });
  await sleep(seconds * 1000);
  stop.abort();
  await probing;
}

async function attackMeanwhile(sandboxId: string, round: number, work: () => Promise<void>): Promise<void> {
  const { port, connections, seed } = order;
  const apiKey = process.env['E2B_API_KEY'] ?? '';
  const options = { port, sandboxId, apiKey, connections, seed: seed + round * 1000 };
  const attackers = fork(join(import.meta.dirname, 'attack.ts'), [JSON.stringify(options)], { execArgv: [] });
  const ended = once(attackers, 'exit');
  try {
    await work();
  } finally {
    attackers.kill('SIGKILL');
    await ended;
  }
}

const probed = await Sandbox.create({ timeoutMs: 24 * 3600 * 1000 });
const hostile = await createHostileSandbox();
const stop = new AbortController();
const operating = Array.from({ length: order.lanes }, async (_, lane) => {
  const context: CycleContext = { ...shared, beat: 0.05, random: createRandom(order.seed * 1000 + lane) };
  await keepOperating(context, stop.signal);
});
// The first calls load code and open connections.
await useServer(probed, 2, []);
for (let round = 1; round <= order.rounds; round++) {
  await useServer(probed, order.aloneSeconds, latencies.alone);
  await attackMeanwhile(hostile.sandboxId, round, async () => {
    // Until all of them exist.
    await sleep(1000);
    await useServer(probed, order.attackedSeconds, latencies.attacked);
  });
  report({ type: 'round', round });
}
stop.abort();
await Promise.all(operating);
const { counts, violations } = shared;
const again = counts.retries + counts.createsCutOff + counts.copiesFailed;
if (again > 0) violations.push(`${again} calls had to be made again`);
await endEverything();
report({ type: 'done', counts, latencies, violations }, () => process.disconnect());
