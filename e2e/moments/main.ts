import { getIsolation, placeOptions, progressOf, readOptions, seedOption } from '../harness/long-run.ts';
import { runMoments } from './run-moments.ts';

const values = readOptions({
  ...placeOptions,
  ...seedOption,
  moments: { type: 'string', default: '5' },
  cases: { type: 'string', default: 'all' },
  lanes: { type: 'string', default: '4' },
});
const { seed } = values;
const isolation = getIsolation(values.isolation);
const startedAt = performance.now();
const { cases, violations, statuses } = await runMoments({
  ...{ isolation, instance: Number(values.instance), seed: Number(seed), lanes: Number(values.lanes) },
  moments: Number(values.moments),
  cases: values.cases === 'all' ? Infinity : Number(values.cases),
  onProgress: progressOf('moments'),
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
