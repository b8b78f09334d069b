import { parseArgs } from 'node:util';
import { runMoments } from './run-moments.ts';

const { values } = parseArgs({
  options: {
    moments: { type: 'string', default: '5' },
    cases: { type: 'string', default: 'all' },
    lanes: { type: 'string', default: '4' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    instance: { type: 'string', default: '4' },
    isolation: { type: 'string', default: 'container' },
  },
});
const { isolation, seed } = values;
if (isolation !== 'container' && isolation !== 'gvisor') throw new Error('--isolation is container or gvisor');
const startedAt = performance.now();
const { cases, violations, statuses } = await runMoments({
  ...{ isolation, instance: Number(values.instance), seed: Number(seed), lanes: Number(values.lanes) },
  moments: Number(values.moments),
  cases: values.cases === 'all' ? Infinity : Number(values.cases),
  onProgress: (text) => {
    console.error(`moments: ${text}`);
  },
});
console.log(`seed ${seed}, ${isolation}: ${cases} cases in ${Math.round((performance.now() - startedAt) / 1000)} s`);
console.log(
  `answers: ${Object.entries(statuses)
    .map(([status, count]) => `${status}: ${count}`)
    .join(', ')}`,
);
console.log(`${violations.length} broken promises`);
for (const line of violations) console.log(`- ${line}`);
process.exit(violations.length === 0 ? 0 : 1);
