import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { describeHost, readHostFacts } from './host.ts';
import { openLab } from './lab.ts';
import type { Figure, Measurement, Skipped } from './measurement.ts';
import { build } from './measurements/build.ts';
import { burst } from './measurements/burst.ts';
import { create } from './measurements/create.ts';
import { fork } from './measurements/fork.ts';
import { functions } from './measurements/functions.ts';
import { idleCpu } from './measurements/idle-cpu.ts';
import { image } from './measurements/image.ts';
import { memory } from './measurements/memory.ts';
import { pool } from './measurements/pool.ts';
import { runCode } from './measurements/run-code.ts';
import { runPrograms } from './measurements/run-programs.ts';
import { runTrue } from './measurements/run-true.ts';
import { sleepAndWake } from './measurements/sleep.ts';
import { templates } from './measurements/templates.ts';
import { transfer } from './measurements/transfer.ts';
import { judge, summarize } from './statistics.ts';
import { renderTable } from './table.ts';

// Memory first: the server's heap grows with what it has done.
const measurements: readonly Measurement[] = [
  memory,
  create,
  runTrue,
  runCode,
  runPrograms,
  transfer,
  sleepAndWake,
  fork,
  pool,
  templates,
  build,
  image,
  functions,
  burst,
  idleCpu,
];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '100' },
    instance: { type: 'string', default: '3' },
    'cold-instance': { type: 'string', default: '4' },
    'build-instance': { type: 'string', default: '5' },
    isolation: { type: 'string', default: 'container' },
    help: { type: 'boolean', default: false },
  },
});
const names = measurements.map(({ name }) => name);
const unknown = positionals.filter((name) => !names.includes(name));
const { isolation } = values;
if (values.help || unknown.length > 0 || (isolation !== 'container' && isolation !== 'gvisor')) {
  const options =
    '[--rounds 100] [--instance 3] [--cold-instance 4] [--build-instance 5] [--isolation container|gvisor]';
  console.error(`usage: npm run bench -- ${options} [${names.join(' | ')}] ...`);
  process.exit(values.help ? 0 : 2);
}

const host = await readHostFacts();
const results: (Figure | Skipped)[] = [];
{
  await using lab = await openLab({
    rounds: Number(values.rounds),
    instance: Number(values.instance),
    coldInstance: Number(values['cold-instance']),
    buildInstance: Number(values['build-instance']),
    isolation,
  });
  for (const [name, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    process.once(name, () => {
      void lab[Symbol.asyncDispose]().then(() => process.exit(code));
    });
  }
  for (const measurement of measurements) {
    if (positionals.length > 0 && !positionals.includes(measurement.name)) continue;
    results.push(...(await measurement.run(lab)));
  }
}
console.log(`${renderTable(results)}\n\nisolation ${isolation}, ${describeHost(host)}`);

const folder = join(import.meta.dirname, 'results');
const file = join(folder, `${new Date().toISOString().replaceAll(':', '-')}.json`);
await mkdir(folder, { recursive: true });
const stored = results.map((result) =>
  'skipped' in result ? result : { ...result, ...summarize(result), verdict: judge(result) },
);
await writeFile(file, `${JSON.stringify({ host, isolation, results: stored }, null, 2)}\n`);
console.log(`results: ${file}`);
