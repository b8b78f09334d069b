import { parseArgs } from 'node:util';
import { renderReport } from './render-report.ts';
import { runSoak } from './run-soak.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    connections: { type: 'string', default: '100' },
    lanes: { type: 'string', default: '2' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    instance: { type: 'string', default: '5' },
    isolation: { type: 'string', default: 'container' },
  },
});
const { isolation } = values;
if (isolation !== 'container' && isolation !== 'gvisor') throw new Error('--isolation is container or gvisor');
const interrupted = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.once(name, () => interrupted.abort(new Error(`ended by ${name}`)));
}
console.error(`soak: seed ${values.seed}`);
const report = await runSoak({
  isolation,
  minutes: Number(values.minutes),
  connections: Number(values.connections),
  lanes: Number(values.lanes),
  seed: Number(values.seed),
  instance: Number(values.instance),
  signal: interrupted.signal,
  onProgress: (text) => {
    console.error(`soak: ${text}`);
  },
});
console.log(`seed ${values.seed}\n${renderReport(report)}`);
process.exit(report.violations.length === 0 ? 0 : 1);
