import { spawnSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { removeTree } from '@soulbox/base';

const bootstrap = join(import.meta.dirname, 'bootstrap.mjs');
let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bootstrap-'));
});
afterEach(async () => {
  await removeTree(directory);
});

function runScript(script: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}) {
  const options = { encoding: 'utf8', timeout: 25_000, env: { ...process.env, ...environment } } as const;
  return spawnSync(process.execPath, [script, ...args], options);
}

test.each([[[]], [['bogus']], [['toString']]])('the mode %j is refused', (args) => {
  const { status, stderr } = runScript(bootstrap, args);
  expect(status).toBe(1);
  expect(stderr).toMatch(/^error: usage: node scripts\/bootstrap\.mjs start\|test\|[a-z|:]+\n$/);
});

test('without root it says how to run it as root', async () => {
  const copy = join(directory, 'bootstrap.mjs');
  await cp(bootstrap, copy);
  spawnSync('chmod', ['755', directory]);
  const asNobody = ['--reuid=65534', '--regid=65534', '--clear-groups', '--', process.execPath, copy, 'bench'];
  const { status, stderr } = spawnSync('setpriv', asNobody, { encoding: 'utf8' });
  expect(status).toBe(1);
  expect(stderr).toBe('error: sandboxes need root: run "sudo npm run bench".\n');
});

/** A workspace of two files, so that the real one stays unchanged. */
async function makeWorkspace(npm: string): Promise<string> {
  await mkdir(join(directory, 'scripts'));
  await cp(bootstrap, join(directory, 'scripts/bootstrap.mjs'));
  await writeFile(
    join(directory, 'package-lock.json'),
    JSON.stringify({ packages: { 'node_modules/a': { version: '1.0.0' } } }),
  );
  await writeFile(join(directory, 'npm.js'), npm);
  return join(directory, 'scripts/bootstrap.mjs');
}
const withNpm = (): NodeJS.ProcessEnv => ({ npm_execpath: join(directory, 'npm.js') });

test('an installation that fails shows the end of its log', async () => {
  const script = await makeWorkspace('console.log("the registry is on fire"); process.exit(7);');
  const { status, stderr } = runScript(script, ['start'], withNpm());
  expect(status).toBe(1);
  expect(stderr).toContain('npm ci failed (7)');
  expect(stderr).toContain('the registry is on fire');
});

test('an installation without Node 24 is an error with a hint', async () => {
  const { status, stderr } = runScript(await makeWorkspace(''), ['start'], withNpm());
  expect(status).toBe(1);
  expect(stderr).toContain('npm did not install Node 24');
});

test('packages are installed when a version differs, and not when all match', async () => {
  const script = await makeWorkspace(`import { writeFileSync } from 'node:fs'; writeFileSync('npm-ran', '');`);
  await writeFile(join(directory, 'package.json'), '{"type":"module"}');
  await writeFile(join(directory, 'scripts/start.ts'), `console.log('handed over', process.argv.slice(2).join());`);
  await mkdir(join(directory, 'node_modules/node/bin'), { recursive: true });
  await cp(process.execPath, join(directory, 'node_modules/node/bin/node'));
  const installed = join(directory, 'node_modules/.package-lock.json');
  const install = async (version: string): Promise<void> => {
    await writeFile(installed, JSON.stringify({ packages: { 'node_modules/a': { version } } }));
  };
  await install('1.0.0');
  const same = runScript(script, ['start', '--port', '0'], withNpm());
  expect(same).toMatchObject({ status: 0, stdout: 'handed over --port,0\n', stderr: '' });
  await install('0.9.0');
  expect(runScript(script, ['start'], withNpm()).stderr).toContain('npm packages installed');
});

test('docs/config.md and the generated code are up to date', () => {
  for (const args of [['generate-config-docs.ts', '--check'], ['check-generated.ts']] as const) {
    const { status, stderr } = runScript(join(import.meta.dirname, args[0]), args.slice(1));
    expect(stderr).toBe('');
    expect(status).toBe(0);
  }
});
