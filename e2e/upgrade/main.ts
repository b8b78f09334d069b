import { parseArgs } from 'node:util';
import { progressOf } from '../harness/long-run.ts';
import { runUpgrade } from './run-upgrade.ts';

// `npm run upgrade [-- REF]`: takes a data folder with everything that a user may have from version REF to this one,
// back, and here again.
const { values, positionals } = parseArgs({
  options: { instance: { type: 'string', default: '4' }, port: { type: 'string', default: '4180' } },
  allowPositionals: true,
});
const report = await runUpgrade({
  reference: positionals[0] ?? 'HEAD^',
  instance: Number(values.instance),
  port: Number(values.port),
  onProgress: progressOf('upgrade'),
});
console.log(JSON.stringify(report, undefined, 2));
process.exit(0);
