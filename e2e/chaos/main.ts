import {
  getIsolation,
  placeOptions,
  progressOf,
  readOptions,
  seedOption,
  untilToldToEnd,
} from '../harness/long-run.ts';
import { renderReport } from './render-report.ts';
import { runChaos } from './run-chaos.ts';

const values = readOptions({
  ...placeOptions,
  ...seedOption,
  cycles: { type: 'string', default: '300' },
  lanes: { type: 'string', default: '6' },
  'max-kills': { type: 'string', default: '1000000' },
  /** With an object store, to which the server uploads what sleeps. */
  store: { type: 'boolean', default: false },
});
const isolation = getIsolation(values.isolation);
const report = await runChaos({
  cycles: Number(values.cycles),
  lanes: Number(values.lanes),
  seed: Number(values.seed),
  maxKills: Number(values['max-kills']),
  hasStore: values.store,
  instance: Number(values.instance),
  isolation,
  signal: untilToldToEnd(),
  onProgress: progressOf('chaos'),
});
console.log(`seed ${values.seed}\n${renderReport(report)}`);
process.exit(report.violations.length === 0 && report.leftovers.length === 0 ? 0 : 1);
