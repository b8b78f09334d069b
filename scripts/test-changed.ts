import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '@soulbox/base';

// `npm run test:changed [REF]`: runs the unit tests that import a changed file, without those that start real
// sandboxes. Changed means: not committed yet, or committed since REF (default: since the branch left `main`). Needs no
// root and no template.
const repository = join(import.meta.dirname, '..');

/** Calls and imports of test files that start sandboxes, or that need templates which take minutes to build. */
const slow =
  /\b(describeDriver|openPreparedBench|openTestBench|startServer|hasTemplate|isThere)\(|runner-process|build-lab/;

const git = async (...args: string[]): Promise<string> => (await run('git', args, { cwd: repository })).trim();

const [given] = process.argv.slice(2);
const since = given ?? (await git('merge-base', 'HEAD', 'main').catch(() => 'HEAD'));
const tests = (await git('ls-files', 'apps/**/*.test.ts', 'packages/**/*.test.ts', 'scripts/**/*.test.ts')).split('\n');
const texts = await Promise.all(
  tests.map(async (file) => await readFile(join(repository, file), 'utf8').catch(() => '')),
);
const excluded = tests.filter((_, index) => slow.test(texts[index] ?? '')).flatMap((file) => ['--exclude', file]);

const args = ['run', '--project', 'unit*', '--project', 'mocked', '--passWithNoTests', '--changed', since, ...excluded];
const child = spawn(join(repository, 'node_modules/.bin/vitest'), args, { cwd: repository, stdio: 'inherit' });
const [code] = (await once(child, 'exit')) as [number | null];
process.exitCode = code ?? 1;
