import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { styleText } from 'node:util';
import { removeTree } from '@soulbox/base';
import { makeTestTemplates, prepareForTests, runVisibly } from './prepare.ts';

// `npm test`: runs every check and test, to the end even if one fails. With arguments it runs only vitest, with those
// arguments.
interface Step {
  readonly name: string;
  readonly run: () => Promise<number>;
}

/** In the background: uses what the tests beside it leave. */
const npmRun = (script: string): Step => ({
  name: script,
  run: async () => await runVisibly('nice', ['-n', '15', 'npm', 'run', '--silent', script]),
});
const reports = await mkdtemp(join(tmpdir(), 'soulbox-tests-'));
const reportOf = (name: string): string => join(reports, `${name}.txt`);
const vitest = (name: string, args: readonly string[]): Step => ({
  name,
  run: async () => {
    const reporters = [
      '--reporter=default',
      '--reporter=./scripts/skip-reporter.ts',
      '--reporter=./scripts/failure-reporter.ts',
      `--outputFile.failures=${reportOf(name)}`,
    ];
    return await runVisibly(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', ...reporters, ...args]);
  },
});
/**
 * End-to-end files about behavior that differs with gVisor: four minutes of the quarter of an hour that all of them
 * take (`npm run e2e:gvisor`).
 */
const gvisorFiles = [
  ...['commands/sudo', 'commands/pty', 'files/watch', 'network/ports'],
  ...['sandboxes/kill', 'sandboxes/load', 'security/isolation'],
  ...['sleep/pause', 'sleep/pause-files', 'sleep/auto-resume', 'copies/fork', 'copies/snapshots', 'volumes/mounts'],
];
const args = process.argv.slice(2);
/**
 * One after the other, because tests check times. Only steps that neither measure nor are measured run in parallel:
 * making templates and proofs wait for a part of their time.
 */
const steps: readonly (readonly Step[])[] =
  args.length > 0
    ? [[vitest('vitest', args)]]
    : [
        [{ name: 'templates', run: makeTestTemplates }, npmRun('check:others')],
        [vitest('unit', ['--project', 'unit*', '--project', 'mocked'])],
        [vitest('proofs', ['--project', 'proofs']), npmRun('lint')],
        [vitest('e2e', ['--project', 'e2e'])],
        [vitest('e2e-alone', ['--project', 'e2e-alone'])],
        [vitest('gvisor', ['--project', 'e2e-gvisor', ...gvisorFiles.map((name) => `e2e/${name}.test.ts`)])],
      ];

try {
  const prepared = await prepareForTests();
  process.exitCode = prepared === 0 ? await runSteps() : prepared;
} finally {
  await removeTree(reports);
}

async function runSteps(): Promise<number> {
  const results: { name: string; code: number; seconds: number }[] = [];
  const interruption = new AbortController();
  process.once('SIGINT', () => interruption.abort());
  for (const together of steps) {
    if (interruption.signal.aborted) break;
    console.log(`\n${styleText('bold', `=== ${together.map(({ name }) => name).join(', ')}`)}`);
    const startedAt = Date.now();
    const runStep = async ({ name, run }: Step) => ({
      name,
      code: await run(),
      seconds: (Date.now() - startedAt) / 1000,
    });
    results.push(...(await Promise.all(together.map(runStep))));
  }
  console.log(`\n${styleText('bold', '=== summary')}`);
  for (const { name, code, seconds } of results) {
    const verdict = code === 0 ? styleText('green', 'passed') : styleText('red', `FAILED (exit ${code})`);
    console.log(`${name.padEnd(12)} ${verdict} in ${seconds.toFixed(1)} s`);
    // Often only the end of a long log is kept, so it must contain the failures.
    if (code !== 0) for (const line of await failuresOf(name)) console.log(`             ${line}`);
  }
  return !interruption.signal.aborted && results.every(({ code }) => code === 0) ? 0 : 1;
}

/** The failures that vitest's reporter has noted; none for a step that does not run vitest. */
async function failuresOf(name: string): Promise<string[]> {
  const text = await readFile(reportOf(name), 'utf8').catch(() => '');
  return text.split('\n').filter((line) => line !== '');
}
