import { getIsolation, placeOptions, progressOf, readOptions } from '../harness/long-run.ts';
import { runFill } from './run-fill.ts';

const values = readOptions({
  ...placeOptions,
  sandboxes: { type: 'string', default: '20' },
  'host-mb': { type: 'string', default: '6000' },
  seconds: { type: 'string', default: '20' },
  attacks: { type: 'string', default: 'server,foreign' },
});
const isolation = getIsolation(values.isolation);
const attacks = values.attacks.split(',').filter((name) => name !== '');
if (!attacks.every((name) => name === 'server' || name === 'foreign'))
  throw new Error('--attacks names server, foreign or both, with a comma');
const report = await runFill({
  sandboxes: Number(values.sandboxes),
  hostMb: Number(values['host-mb']),
  partMs: Number(values.seconds) * 1000,
  instance: Number(values.instance),
  isolation,
  attacks,
  // A tenth of a gibibyte for each sandbox, in addition to its tables.
  environment: { SOULBOX_DISK_OVERCOMMIT: '100', SOULBOX_DISK_RESERVE_MB: '256' },
  onProgress: progressOf('fill'),
});
console.log(JSON.stringify(report, undefined, 2));
process.exit(report.violations.length === 0 && report.bad === 0 ? 0 : 1);
