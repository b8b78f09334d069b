import { parseArgs } from 'node:util';
import { defaultIsolation, isIsolation, isolations } from '@soulbox/contract';
import { describeHost, readHostFacts } from './host.ts';
import { openLab } from './lab.ts';
import type { Measurement, Result } from './measurement.ts';
import { audit } from './measurements/audit.ts';
import { build } from './measurements/build.ts';
import { burst } from './measurements/burst.ts';
import { cache } from './measurements/cache.ts';
import { create } from './measurements/create.ts';
import { fork } from './measurements/fork.ts';
import { functions } from './measurements/functions.ts';
import { idleCpu, many } from './measurements/idle-cpu.ts';
import { image } from './measurements/image.ts';
import { memory } from './measurements/memory.ts';
import { merge } from './measurements/merge.ts';
import { pool } from './measurements/pool.ts';
import { runCode } from './measurements/run-code.ts';
import { runPrograms } from './measurements/run-programs.ts';
import { runTrue } from './measurements/run-true.ts';
import { keys } from './measurements/keys.ts';
import { sampling } from './measurements/sampling.ts';
import { sdk } from './measurements/sdk.ts';
import { signedUrls } from './measurements/signed-urls.ts';
import { sleepAndWake } from './measurements/sleep.ts';
import { storage } from './measurements/storage.ts';
import { streams } from './measurements/streams.ts';
import { templates } from './measurements/templates.ts';
import { tools } from './measurements/tools.ts';
import { transfer } from './measurements/transfer.ts';
import { volumes } from './measurements/volumes.ts';
import { explainOperation } from './explain/main.ts';
import { explainedNames, isExplainedName } from './explain/operations.ts';
import { describePhases, readPhaseTotals } from './phases.ts';
import type { PhaseTotals } from './phases.ts';
import { openResultsFile, readResults, resultsOf } from './results.ts';
import { renderTable } from './table.ts';

// Memory first: the server's heap grows with its work.
const measurements: readonly Measurement[] = [
  memory,
  create,
  sdk,
  runTrue,
  runCode,
  runPrograms,
  transfer,
  tools,
  streams,
  sleepAndWake,
  fork,
  pool,
  templates,
  build,
  image,
  functions,
  signedUrls,
  keys,
  audit,
  storage,
  cache,
  volumes,
  burst,
  idleCpu,
  many,
  merge,
  sampling,
];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '100' },
    instance: { type: 'string', default: '3' },
    'cold-instance': { type: 'string', default: '4' },
    'build-instance': { type: 'string', default: '5' },
    isolation: { type: 'string', default: defaultIsolation },
    compare: { type: 'string' },
    /** The folder of another version, which is measured by this program. */
    of: { type: 'string' },
    explain: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
const names = measurements.map(({ name }) => name);
const unknown = positionals.filter((name) => !names.includes(name));
const { isolation, explain } = values;
const isExplainable = explain === undefined || isExplainedName(explain);
if (values.help || unknown.length > 0 || !isIsolation(isolation) || !isExplainable) {
  const instances = '[--instance 3] [--cold-instance 4] [--build-instance 5]';
  const options = `[--rounds 100] ${instances} [--isolation ${isolations.join('|')}] [--compare RESULTS.json] [--of CLONE]`;
  console.error(`usage: npm run bench -- ${options} [${names.join(' | ')}] ...`);
  console.error(`   or: npm run bench -- [--rounds 100] --explain ${explainedNames.join('|')}`);
  process.exit(values.help ? 0 : 2);
}

const host = await readHostFacts(values.of);
const before = values.compare === undefined ? undefined : await readResults(values.compare).catch(giveUp);
const results: Result[] = [];
const phases: string[] = [];
const file = await openResultsFile(host, isolation);
{
  await using lab = await openLab({
    rounds: Number(values.rounds),
    instance: Number(values.instance),
    coldInstance: Number(values['cold-instance']),
    buildInstance: Number(values['build-instance']),
    isolation,
    clone: values.of,
  });
  for (const [name, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    process.once(name, () => {
      void lab[Symbol.asyncDispose]().then(() => process.exit(code));
    });
  }
  if (explain !== undefined) {
    const path = await explainOperation(lab, explain, Number(values.rounds));
    console.log(`\nisolation ${isolation}, ${describeHost(host)}\nstacks for a flame graph: ${path}`);
  }
  // An earlier version may not measure its phases.
  const readPhases = values.of === undefined ? readPhaseTotals : (): PhaseTotals => new Map();
  for (const measurement of explain === undefined ? measurements : []) {
    if (positionals.length > 0 && !positionals.includes(measurement.name)) continue;
    const totals = new Map<number, PhaseTotals>();
    for (const server of await lab.servers()) totals.set(server.instance, await readPhases(server));
    for await (const result of resultsOf(measurement, lab)) {
      results.push(result);
      await file.write(results);
    }
    for (const server of await lab.servers()) {
      const lines = describePhases(totals.get(server.instance) ?? new Map(), await readPhases(server));
      phases.push(...lines.map((line) => `  ${measurement.name}: ${line}`));
    }
  }
}
if (explain !== undefined) process.exit();
console.log(`${renderTable(results, before)}\n\nisolation ${isolation}, ${describeHost(host)}`);
if (before !== undefined)
  console.log(`before: ${values.compare ?? ''}, isolation ${before.isolation}\n${describeHost(before.host)}`);
console.log(`where the time of the servers' operations went, mean ms:\n${phases.join('\n')}`);
console.log(`results: ${file.path}`);
process.exit(results.some((result) => 'failed' in result) ? 1 : 0);

function giveUp(error: unknown): never {
  console.error(error instanceof Error ? error.message : error);
  process.exit(2);
}
