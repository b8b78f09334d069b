// Measures what the egress process costs beside the kernel's translation alone, in one run: `node measure.ts` as root.
import { readFileSync } from 'node:fs';
import { directPort, openNamespaceLab, outsideAddress, sandboxAddress } from './namespace-lab.ts';

const rounds = 5;
await using lab = await openNamespaceLab();
const { sandbox, feed } = lab;
const policy = { denyOut: ['0.0.0.0/0'], allowOut: [`${outsideAddress}:9000-9001`, '*.example.com'] };
await feed.put({ address: sandboxAddress, sandboxId: 'sandbox', teamId: 'team', policy });

const medianOf = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
/** Takes both in turns, so that what else the machine does meets both. */
async function compare(
  name: string,
  one: () => Promise<unknown>,
  other: () => Promise<unknown>,
  unit: string,
): Promise<void> {
  const [direct, policed]: [number[], number[]] = [[], []];
  await one();
  await other();
  for (let round = 0; round < rounds; round += 1) {
    direct.push(Number(await one()));
    policed.push(Number(await other()));
  }
  const [a, b] = [medianOf(direct), medianOf(policed)];
  const difference = unit === 'ms' ? `${(b - a).toFixed(3)} ms more` : `${((b / a) * 100).toFixed(0)} %`;
  process.stdout.write(`${name}: ${a.toFixed(3)} direct, ${b.toFixed(3)} policed (${unit}; ${difference})\n`);
}

const host = outsideAddress;
const mib = 512;
await compare(
  'upload',
  async () => await sandbox.ask({ op: 'upload', host, port: directPort + 1, mib }),
  async () => await sandbox.ask({ op: 'upload', host, port: 9001, mib }),
  'MiB/s',
);
await compare(
  'connection until the first byte',
  async () => await sandbox.ask({ op: 'connectTimes', host, port: directPort, count: 300 }),
  async () => await sandbox.ask({ op: 'connectTimes', host, port: 9000, count: 300 }),
  'ms',
);
await compare(
  'round trip',
  async () => await sandbox.ask({ op: 'roundTrips', host, port: directPort, count: 3000 }),
  async () => await sandbox.ask({ op: 'roundTrips', host, port: 9000, count: 3000 }),
  'ms',
);
let batch = 0;
await compare(
  'look-up that is not kept',
  async () => await lab.outside.ask({ op: 'lookupTimes', host, port: 53, name: 'x%.example.com', count: 100 }),
  async () => {
    batch += 1;
    // Enough different names would be taken for a tunnel; one name can be asked again once it is forgotten.
    await feed.put({ address: sandboxAddress, sandboxId: `look-up-${batch}`, teamId: `team-${batch}`, policy });
    return await sandbox.ask({ op: 'lookupTimes', host, port: 53, name: 'x%.example.com', count: 100 });
  },
  'ms',
);

const times: number[] = [];
for (let round = 0; round < 50; round += 1) {
  const started = performance.now();
  await feed.put({ address: sandboxAddress, sandboxId: 'sandbox', teamId: 'team', policy });
  times.push(performance.now() - started);
}
process.stdout.write(`change of a policy until it is confirmed: ${medianOf(times).toFixed(3)} ms\n`);

const many = 10_000;
const openPolicy = { denyOut: ['0.0.0.0/0'], allowOut: [`${outsideAddress}:9000`] };
await feed.put({ address: sandboxAddress, sandboxId: 'many', teamId: 'team', policy: openPolicy });
const opened = await sandbox.ask({ op: 'openMany', host, port: 9000, count: many });
const memory = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${lab.pid()}/status`, 'utf8'))?.[1];
process.stdout.write(
  `of ${many} connections of one sandbox ${String(opened)} were open; ${memory ?? '?'} KiB resident\n`,
);
