import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

// Halves the time to load. In the workspace and not in /tmp, where another user could prepare a cache for root.
enableCompileCache(join(import.meta.dirname, '../../../node_modules/.cache/node-compile'));
// A reader that closes the pipe early (`soulbox key list | head -1`) is no fault.
process.stdout.on('error', () => process.exit(0));

const { runProgram } = await import('./program/run-program.ts');
process.exit(await runProgram(process.argv.slice(2)));
