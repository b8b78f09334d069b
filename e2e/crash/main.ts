import { getIsolation, placeOptions, progressOf, readOptions, seedOption } from '../harness/long-run.ts';
import { runCrash } from './run-crash.ts';

const values = readOptions({
  ...placeOptions,
  ...seedOption,
  'per-operation': { type: 'string', default: 'all' },
  only: { type: 'string', default: '' },
  at: { type: 'string', default: '' },
});
const { at, only, seed } = values;
const isolation = getIsolation(values.isolation);
const startedAt = performance.now();
const report = await runCrash({
  ...{ isolation, only, at, instance: Number(values.instance), seed: Number(seed) },
  perOperation: values['per-operation'] === 'all' ? Infinity : Number(values['per-operation']),
  onProgress: progressOf('crash'),
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
