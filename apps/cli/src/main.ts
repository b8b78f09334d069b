import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

// Halves the time to load. In the workspace and not in /tmp, where another user could prepare a cache for root.
enableCompileCache(join(import.meta.dirname, '../../../node_modules/.cache/node-compile'));
const { endWhenUnread } = await import('./output/reader.ts');
endWhenUnread();
const { runProgram } = await import('./program/run-program.ts');
process.exit(await runProgram(process.argv.slice(2)));
