import { parseArgs } from 'node:util';
import { runCrash } from './run-crash.ts';

const { values } = parseArgs({
  options: {
    'per-operation': { type: 'string', default: 'all' },
    only: { type: 'string', default: '' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    instance: { type: 'string', default: '4' },
    isolation: { type: 'string', default: 'container' },
  },
});
const { isolation, only, seed } = values;
if (isolation !== 'container' && isolation !== 'gvisor') throw new Error('--isolation is container or gvisor');
const startedAt = performance.now();
const report = await runCrash({
  ...{ isolation, only, instance: Number(values.instance), seed: Number(seed) },
  perOperation: values['per-operation'] === 'all' ? Infinity : Number(values['per-operation']),
  onProgress: (text) => {
    console.error(`crash: ${text}`);
  },
});
const { rounds, kills, violations, leftovers } = report;
console.log(
  `seed ${seed}, ${isolation}: ${rounds} rounds, ${kills} kills, ${Math.round((performance.now() - startedAt) / 1000)} s`,
);
for (const [name, count] of Object.entries(report.boundaries))
  console.log(`${String(count).padStart(5)} boundaries of ${name}`);
console.log(`${violations.length} broken promises, ${leftovers.length} things left on the host`);
for (const line of [...violations, ...leftovers]) console.log(`- ${line}`);
process.exit(violations.length === 0 && leftovers.length === 0 ? 0 : 1);
