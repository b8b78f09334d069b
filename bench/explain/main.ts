import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Lab } from '../lab.ts';
import { describePhases, readPhaseTotals } from '../phases.ts';
import { findParts, findSandboxProcesses } from '../processes.ts';
import { percentile } from '../statistics.ts';
import { prepareOperation } from './operations.ts';
import type { ExplainedName } from './operations.ts';
import { readRecording, recordHost } from './perf.ts';
import { explain } from './summarize.ts';
import type { Span } from './summarize.ts';

const cpuShown = 20;
const callsShown = 25;
const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6;

/**
 * Repeats one operation under `perf`, and prints where its time goes: phases of the server, programs that are started,
 * CPU by thread and by system call. Writes the stacks as a file for a flame graph, and returns its path.
 */
export async function explainOperation(lab: Lab, name: ExplainedName, rounds: number): Promise<string> {
  const folder = join(import.meta.dirname, '../results');
  await mkdir(folder, { recursive: true });
  const file = join(folder, `${name}-${new Date().toISOString().replaceAll(':', '-')}`);
  const operation = await prepareOperation(lab, name);
  const { server } = operation;
  const once = async (): Promise<Span> => {
    await operation.before?.();
    const fromMs = nowMs();
    await operation.act();
    const toMs = nowMs();
    await operation.after?.();
    return { fromMs, toMs };
  };
  // The first ones load code that later ones have.
  for (let round = 0; round < 3; round++) await once();
  const before = await readPhaseTotals(server);
  // Those that start later are found by the recording.
  const inside = [...findSandboxProcesses(server.instance).values()].flat().map((pid) => [pid, 'inside:'] as const);
  const recording = await recordHost(`${file}.perf`);
  const spans: Span[] = [];
  try {
    for (let round = 0; round < rounds; round++) {
      lab.progress(`${name}, round ${round} of ${rounds}`);
      spans.push(await once());
    }
  } finally {
    await recording.stop();
  }
  const after = await readPhaseTotals(server);
  const told = await explain(readRecording(`${file}.perf`), spans, new Map([...inside, ...findParts(server.pid)]));
  await rm(`${file}.perf`);
  await writeFile(`${file}.folded`, `${told.folded.join('\n')}\n`);
  const times = spans.map(({ fromMs, toMs }) => toMs - fromMs);
  const ms = (value: number): string => value.toFixed(1).padStart(8);
  const total = told.cpu.reduce((sum, one) => sum + one.ms, 0);
  console.log(`${name}: p50${ms(percentile(times, 0.5))} ms, p99${ms(percentile(times, 0.99))} ms, ${rounds} rounds`);
  console.log(`\nphases, mean ms:\n${describePhases(before, after).join('\n')}`);
  console.log(`\n${told.programCount} programs and ${told.forkCount} forks in the median; of the median round:`);
  for (const { afterMs, name: program } of told.programs) console.log(`${ms(afterMs)} ms  ${program}`);
  console.log(`\nCPU of a round: ${total.toFixed(1)} ms (in the kernel), by thread:`);
  for (const { name: thread, ms: spent, kernelMs } of told.cpu.slice(0, cpuShown))
    console.log(`${ms(spent)} (${kernelMs.toFixed(1)})  ${thread}`);
  console.log('\nof it in the kernel, by system call:');
  for (const { name: call, ms: spent } of told.calls.slice(0, callsShown)) console.log(`${ms(spent)}  ${call}`);
  return `${file}.folded`;
}
