import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

// Halves the time to load. Never in /tmp, where another user could prepare a cache for root. A package is not written to at run time; its
// code is JavaScript.
const isClone = import.meta.filename.endsWith('.ts');
enableCompileCache(
  isClone ? join(import.meta.dirname, '../../../node_modules/.cache/node-compile') : '/var/cache/soulbox/node-compile',
);
const { endWhenUnread } = await import('./output/reader.ts');
endWhenUnread();
const { runProgram } = await import('./program/run-program.ts');
process.exit(await runProgram(process.argv.slice(2)));
