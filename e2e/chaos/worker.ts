import { createTally } from './cycle-context.ts';
import type { CycleContext } from './cycle-context.ts';
import { runCycle } from './cycle.ts';
import type { Order, Report } from './messages.ts';
import { createRandom } from './random.ts';
import { endEverything, verifyKept } from './verify.ts';

// The client side of the chaos test, in a separate process: the server is killed, but this process remembers what was
// reported to it. Started by run-chaos.ts with the variables of a client.

const contexts: CycleContext[] = [];
const shared = createTally();

function report(message: Report, sent?: () => void): void {
  process.send?.(message, undefined, undefined, sent);
}

async function runLanes({ cycles, lanes, seed, beat }: Extract<Order, { type: 'start' }>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: lanes }, async (_, lane) => {
      const context = { ...shared, beat, random: createRandom(seed * 1000 + lane) };
      contexts.push(context);
      while (next < cycles) {
        next++;
        if (await runCycle(context)) shared.counts.cycles++;
        else next--;
        report({ type: 'progress', counts: shared.counts });
      }
    }),
  );
  report({ type: 'cyclesDone' });
}

async function verify(): Promise<void> {
  const [context] = contexts;
  if (context !== undefined) await verifyKept(context);
  await endEverything();
  report({ type: 'result', counts: shared.counts, violations: shared.violations }, () => process.disconnect());
}

process.on('message', (order: Order) => {
  void (order.type === 'start' ? runLanes(order) : verify());
});
