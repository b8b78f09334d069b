import { parseArgs } from 'node:util';
import { renderReport } from './render-report.ts';
import { runChaos } from './run-chaos.ts';

const { values } = parseArgs({
  options: {
    cycles: { type: 'string', default: '300' },
    lanes: { type: 'string', default: '6' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    'max-kills': { type: 'string', default: '1000000' },
    instance: { type: 'string', default: '4' },
    isolation: { type: 'string', default: 'container' },
  },
});
const { isolation } = values;
if (isolation !== 'container' && isolation !== 'gvisor') throw new Error('--isolation is container or gvisor');
const interrupted = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.once(name, () => interrupted.abort(new Error(`ended by ${name}`)));
}
const report = await runChaos({
  cycles: Number(values.cycles),
  lanes: Number(values.lanes),
  seed: Number(values.seed),
  maxKills: Number(values['max-kills']),
  instance: Number(values.instance),
  isolation,
  signal: interrupted.signal,
  onProgress: (text) => {
    console.error(`chaos: ${text}`);
  },
});
console.log(`seed ${values.seed}\n${renderReport(report)}`);
process.exit(report.violations.length === 0 && report.leftovers.length === 0 ? 0 : 1);
