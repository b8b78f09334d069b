import {
  getIsolation,
  placeOptions,
  progressOf,
  readOptions,
  seedOption,
  untilToldToEnd,
} from '../harness/long-run.ts';
import { renderReport } from './render-report.ts';
import { runSoak } from './run-soak.ts';

const values = readOptions({
  ...placeOptions,
  ...seedOption,
  minutes: { type: 'string', default: '60' },
  connections: { type: 'string', default: '100' },
  lanes: { type: 'string', default: '2' },
  instance: { type: 'string', default: '5' },
});
const isolation = getIsolation(values.isolation);
console.error(`soak: seed ${values.seed}`);
const report = await runSoak({
  isolation,
  minutes: Number(values.minutes),
  connections: Number(values.connections),
  lanes: Number(values.lanes),
  seed: Number(values.seed),
  instance: Number(values.instance),
  signal: untilToldToEnd(),
  onProgress: progressOf('soak'),
});
console.log(`seed ${values.seed}\n${renderReport(report)}`);
process.exit(report.violations.length === 0 && report.slowdown === undefined ? 0 : 1);
