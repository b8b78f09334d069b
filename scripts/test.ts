import { styleText } from 'node:util';
import { prepareForTests, runVisibly } from './prepare.ts';

// `npm test`: every check and test, to the end even when one fails. With arguments only vitest, with them.
interface Step {
  readonly name: string;
  readonly run: () => Promise<number>;
}

const npmRun = (script: string): Step => ({
  name: script,
  run: async () => await runVisibly('npm', ['run', '--silent', script]),
});
const vitest = (name: string, args: readonly string[]): Step => ({
  name,
  run: async () => await runVisibly(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', ...args]),
});
/** End-to-end files about what differs behind gVisor: a minute of the nine that all take (`npm run e2e:gvisor`). */
const gvisorFiles = ['sudo', 'ports', 'pty', 'isolation', 'load', 'kill', 'files-watch', 'pause-files'];
const args = process.argv.slice(2);
const steps: readonly Step[] =
  args.length > 0
    ? [vitest('vitest', args)]
    : [
        npmRun('check'),
        vitest('unit', ['--project', 'unit']),
        vitest('e2e', ['--project', 'e2e']),
        vitest('gvisor', ['--project', 'e2e-gvisor', ...gvisorFiles.map((name) => `e2e/${name}.test.ts`)]),
      ];

const prepared = await prepareForTests();
if (prepared !== 0) process.exitCode = prepared;
else process.exitCode = await runSteps();

async function runSteps(): Promise<number> {
  const results: { name: string; code: number; seconds: number }[] = [];
  const interruption = new AbortController();
  process.once('SIGINT', () => interruption.abort());
  for (const { name, run } of steps) {
    if (interruption.signal.aborted) break;
    console.log(`\n${styleText('bold', `=== ${name}`)}`);
    const startedAt = Date.now();
    results.push({ name, code: await run(), seconds: (Date.now() - startedAt) / 1000 });
  }
  console.log(`\n${styleText('bold', '=== summary')}`);
  for (const { name, code, seconds } of results) {
    const verdict = code === 0 ? styleText('green', 'passed') : styleText('red', `FAILED (exit ${code})`);
    console.log(`${name.padEnd(8)} ${verdict} in ${seconds.toFixed(1)} s`);
  }
  return !interruption.signal.aborted && results.every(({ code }) => code === 0) ? 0 : 1;
}
