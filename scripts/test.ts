import { globSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { styleText } from 'node:util';
import { removeTree } from '@soulbox/base';
import { makeTestTemplates, prepareForTests, runVisibly } from './prepare.ts';

// `npm test`: runs every check and every test that is not tagged `long`, to the end even if one fails. With `--long`, it
// runs those that are, and all end-to-end files with gVisor. With other arguments it runs only vitest, with those
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
 * End-to-end files about behavior that differs most with gVisor. The conformance tests of its driver are unit tests.
 * All files run with `npm run test:long`, or alone with `npm run e2e:gvisor`.
 */
const gvisorFiles = [
  ...['commands/pty', 'sandboxes/kill', 'security/isolation', 'sleep/pause', 'sleep/pause-files'],
  ...['sleep/auto-resume', 'copies/fork', 'copies/snapshots'],
].map((name) => `e2e/${name}.test.ts`);
const args = process.argv.slice(2);
const short = ['--tags-filter', '!long'];
/**
 * One after the other, because tests check times. Only steps that neither measure nor are measured run in parallel:
 * making templates waits for a part of its time. Tests of operators wait for servers that start, while another server
 * has sandboxes with gVisor.
 */
const shortSteps = (): Step[][] => [
  [{ name: 'templates', run: makeTestTemplates }, npmRun('lint'), npmRun('check:files')],
  [vitest('unit', ['--project', 'unit*', '--project', 'mocked', ...short])],
  [vitest('proofs', ['--project', 'proofs', ...short])],
  [vitest('e2e', ['--project', 'e2e', ...short])],
  [vitest('e2e-alone', ['--project', 'e2e-alone', ...short])],
  [
    vitest('e2e-operators', ['--project', 'e2e-operators', ...short]),
    vitest('gvisor', ['--project', 'e2e-gvisor', '--no-file-parallelism', ...short, ...gvisorFiles]),
  ],
];
const longSteps = (): Step[][] => {
  const tag = ['--tags-filter', 'long', ...longFiles()];
  return [
    [{ name: 'templates', run: makeTestTemplates }],
    [vitest('unit', ['--project', 'unit*', ...tag])],
    [vitest('proofs', ['--project', 'proofs', ...tag])],
    // Each project has a server of its own on the same instance, so they run one after the other.
    ...['e2e', 'e2e-alone', 'e2e-operators'].map((name) => [vitest(name, ['--project', name, ...tag])]),
    [vitest('gvisor', ['--project', 'e2e-gvisor'])],
    [vitest('gvisor-alone', ['--project', 'e2e-gvisor-alone'])],
  ];
};

try {
  const prepared = await prepareForTests();
  process.exitCode = prepared === 0 ? await runSteps(choose()) : prepared;
} finally {
  await removeTree(reports);
}

function choose(): readonly (readonly Step[])[] {
  if (args.length === 0) return shortSteps();
  return args[0] === '--long' ? longSteps() : [[vitest('vitest', args)]];
}

/** Vitest would load all other files, too, only to find that none of their tests has the tag. */
function longFiles(): string[] {
  const files = globSync(['apps/*/src/**/*.test.ts', 'packages/*/src/**/*.test.ts', 'e2e/**/*.test.ts']);
  // A conformance suite is beside the files that it tests.
  const isLong = /@module-tag long|tags: \['long'\]|\bdescribeDriver\(/;
  return files.filter((file) => isLong.test(readFileSync(file, 'utf8')));
}

async function runSteps(steps: readonly (readonly Step[])[]): Promise<number> {
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
