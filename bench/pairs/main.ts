import { loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { removeTree } from '@soulbox/base';
import type { ServerProcess } from '@soulbox/testing';
import { describeHost, readHostFacts } from '../host.ts';
import { startFrom } from '../start-from.ts';
import { percentile } from '../statistics.ts';
import { openContestant } from './contestant.ts';
import type { Contestant, Samples } from './contestant.ts';
import { openSleepers } from './sleepers.ts';

// `npm run bench:pairs -- CLONE [CLONE]`: compares two versions. Starts a server from each clone, in which `npm ci` has
// run, and calls them in turns: the speed of a machine changes between runs by more than versions differ. With one
// clone the other one is this one.

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '12' },
    instances: { type: 'string', default: '7,9' },
    /** Instead of everything: pauses and resumes of sandboxes with these MiB, for instance `10,150`. */
    sleep: { type: 'string' },
    isolation: { type: 'string', default: 'container' },
  },
});
const here = join(import.meta.dirname, '../..');
const clones = positionals.length === 1 ? [...positionals, here] : positionals;
if (clones.length !== 2) {
  console.error(
    'usage: npm run bench:pairs -- CLONE [CLONE] [--rounds 12] [--instances 7,9] [--sleep 10,150] [--isolation gvisor]',
  );
  process.exit(2);
}
const rounds = Number(values.rounds);
const instances = values.instances.split(',').map(Number);

const loadBefore = loadavg()[0] ?? 0;
const servers: ServerProcess[] = [];
try {
  const contestants: Contestant[] = [];
  for (const [index, clone] of clones.entries()) {
    const server = await startFrom(clone, {
      ...{ instance: instances[index] ?? 7 + 2 * index, poolSize: 2 },
      environment: { SOULBOX_ISOLATION: values.isolation },
    });
    servers.push(server);
    contestants.push(await open(server));
  }
  console.log(describeHost(await readHostFacts()));
  printTable(clones, await callInTurns(contestants));
  console.log(`load before and after: ${loadBefore.toFixed(1)}, ${(loadavg()[0] ?? 0).toFixed(1)}`);
} finally {
  for (const server of servers) {
    await server.stop();
    await removeTree(server.dataDirectory);
  }
}

async function open(server: ServerProcess): Promise<Contestant> {
  return values.sleep === undefined
    ? await openContestant(server)
    : await openSleepers(server, values.sleep.split(',').map(Number));
}

/** The samples of each contestant. The first round of each is discarded. */
async function callInTurns(contestants: readonly Contestant[]): Promise<Samples[]> {
  const samples = contestants.map((): Samples => ({}));
  for (let round = -1; round < rounds; round++) {
    const order = [...contestants.entries()];
    // So that neither of them always has the machine as the other one left it.
    if (round % 2 !== 0) order.reverse();
    for (const [index, contestant] of order) {
      const found = await contestant.round(round);
      if (round < 0) continue;
      for (const [what, ms] of Object.entries(found)) ((samples[index] ??= {})[what] ??= []).push(ms);
    }
    console.error(`round ${round + 1} of ${rounds}`);
  }
  return samples;
}

/** p25, p50, p90 and p99 of each, and the p50 of the ratios of the pairs. */
function printTable(names: readonly string[], [first = {}, second = {}]: readonly Samples[]): void {
  console.log(`A: ${names[0] ?? ''}\nB: ${names[1] ?? ''}`);
  const rows = Object.entries(first).map(([what, a]) => {
    const b = second[what] ?? [];
    const ratios = a.map((ms, index) => (b[index] ?? Number.NaN) / ms);
    return [what, describe(a), describe(b), percentile(ratios, 0.5).toFixed(2), String(a.length)];
  });
  const table = [['ms: p25, p50, p90, p99', 'A', 'B', 'B / A', 'n'], ...rows];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  for (const row of table)
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    );
}

function describe(samples: readonly number[]): string {
  return [0.25, 0.5, 0.9, 0.99].map((share) => percentile(samples, share).toFixed(1)).join(', ');
}
