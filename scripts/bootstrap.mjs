// The commands in the table below (`npm start`, `npm test`, `npm run chaos` ...) run this file first, under any Node of
// the system (20 or later) and before anything is installed. So it is plain JavaScript without dependencies. It
// installs the packages of package-lock.json if they are missing or differ, then starts a script under the Node that
// the workspace pins.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const node = join(root, 'node_modules/node/bin/node');
const scripts = {
  start: ['scripts/start.ts'],
  test: ['scripts/test.ts'],
  'test:long': ['scripts/test.ts', '--long'],
  templates: ['scripts/templates.ts'],
  bench: ['scripts/run-prepared.ts', '--templates', 'bench/main.ts'],
  'bench:pairs': ['scripts/run-prepared.ts', '--templates', 'bench/pairs/main.ts'],
  chaos: ['scripts/run-prepared.ts', 'e2e/chaos/main.ts'],
  crash: ['scripts/run-prepared.ts', 'e2e/crash/main.ts'],
  moments: ['scripts/run-prepared.ts', 'e2e/moments/main.ts'],
  soak: ['scripts/run-prepared.ts', 'e2e/soak/main.ts'],
  fill: ['scripts/run-prepared.ts', 'e2e/fill/main.ts'],
  'test:redteam': ['scripts/run-prepared.ts', 'e2e/redteam/main.ts'],
  upgrade: ['scripts/run-prepared.ts', 'e2e/upgrade/main.ts'],
  package: ['scripts/package.ts'],
  'test:packages': ['scripts/run-prepared.ts', 'e2e/packages/main.ts'],
  'test:clients': ['scripts/run-prepared.ts', '--templates', 'e2e/clients/main.ts'],
};

const [mode = '', ...rest] = process.argv.slice(2);
if (!Object.hasOwn(scripts, mode)) fail(`usage: node scripts/bootstrap.mjs ${Object.keys(scripts).join('|')}`);
if (process.platform !== 'linux')
  fail(`SoulBox needs Linux; this is ${process.platform}. Use a Linux virtual machine.`);
if (Number(process.versions.node.split('.')[0]) < 20)
  fail(`SoulBox needs Node 20 or later; this is ${process.version}.`);
if (process.getuid() !== 0 && mode !== 'package')
  fail(`sandboxes need root: run "sudo npm ${mode === 'start' || mode === 'test' ? mode : `run ${mode}`}".`);

if (!hasLockedPackages()) await installPackages();
if (!existsSync(node)) {
  fail(
    'npm did not install Node 24 (the package "node"). Are install scripts disabled (npm config get ignore-scripts)?',
  );
}
const path = [join(root, 'node_modules/node/bin'), join(root, 'node_modules/.bin'), process.env.PATH].join(delimiter);
const child = spawn(node, [...scripts[mode].map((name) => (name.endsWith('.ts') ? join(root, name) : name)), ...rest], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, PATH: path },
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));

/**
 * Whether node_modules matches package-lock.json, version by version: file times are wrong after a checkout or a copy.
 */
function hasLockedPackages() {
  const installedFile = join(root, 'node_modules/.package-lock.json');
  if (!existsSync(installedFile) || !existsSync(node)) return false;
  const read = (file) => JSON.parse(readFileSync(file, 'utf8')).packages;
  const installed = read(installedFile);
  return Object.entries(read(join(root, 'package-lock.json'))).every(([name, locked]) => {
    if (!name.startsWith('node_modules/') || locked.link) return true;
    // Packages for other systems are in the lock file, but not installed.
    if (locked.optional && installed[name] === undefined) return true;
    return installed[name]?.version === locked.version;
  });
}

async function installPackages() {
  const directory = join(root, '.soulbox/logs');
  mkdirSync(directory, { recursive: true });
  const logFile = join(directory, 'npm-ci.log');
  const log = openSync(logFile, 'w');
  const args = ['ci', '--no-audit', '--no-fund'];
  // Under `npm start` the running npm is known; otherwise the one in PATH is used.
  const npm = process.env.npm_execpath;
  const [command, commandArgs] = npm?.endsWith('.js') ? [process.execPath, [npm, ...args]] : ['npm', args];
  const startedAt = Date.now();
  const seconds = () => `${((Date.now() - startedAt) / 1000).toFixed(0)} s`;
  const clear = process.stderr.isTTY ? '\r\x1b[2K' : '';
  const say = () => process.stderr.write(`${clear}Installing npm packages: ${seconds()}${clear === '' ? '\n' : ''}`);
  say();
  const timer = setInterval(say, clear === '' ? 10_000 : 500);
  const code = await new Promise((resolve) => {
    const npmProcess = spawn(command, commandArgs, { cwd: root, stdio: ['ignore', log, log] });
    npmProcess.on('error', (error) => fail(`npm could not be started: ${error.message}`));
    npmProcess.on('exit', (exitCode, signal) => resolve(exitCode ?? signal));
  });
  clearInterval(timer);
  process.stderr.write(clear);
  if (code !== 0) {
    const tail = readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-40).join('\n');
    fail(`npm ci failed (${code}). The end of ${logFile}:\n${tail}`);
  }
  process.stderr.write(`npm packages installed in ${seconds()}.\n`);
}

function fail(message) {
  process.stderr.write(`error: ${message}\n`);
  process.exit(1);
}
