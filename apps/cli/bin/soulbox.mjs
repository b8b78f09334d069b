#!/usr/bin/env node
// Runs the CLI under the Node that the workspace pins, whatever `node` the system has.
import { spawn } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(realpathSync(fileURLToPath(import.meta.url)));
const main = join(here, '../src/main.ts');
const node = join(here, '../../../node_modules/node/bin/node');

if (!existsSync(node)) {
  process.stderr.write('error: Node 24 is not installed in the workspace. Run `npm ci` (or `npm start`) first.\n');
  process.exit(1);
}
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2'];
const args = [main, ...process.argv.slice(2)];
// Replaces this process where the system's Node can do that: one process less, and signals need no forwarding.
if (typeof process.execve === 'function') {
  try {
    process.execve(node, [node, ...args], process.env);
  } catch {
    // Not supported on this system: go on below.
  }
}
const child = spawn(node, args, { stdio: 'inherit' });
for (const signal of signals) process.on(signal, () => child.kill(signal));
child.on('error', (error) => {
  process.stderr.write(`error: ${error.message}\n`);
  process.exit(1);
});
child.on('exit', (code, signal) => {
  if (signal === null) process.exit(code ?? 1);
  for (const name of signals) process.removeAllListeners(name);
  process.kill(process.pid, signal);
});
