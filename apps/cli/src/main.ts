import { enableCompileCache } from 'node:module';
import { compileCacheFolder } from '@soulbox/host/installation';

enableCompileCache(compileCacheFolder());
const { endWhenUnread } = await import('./output/reader.ts');
endWhenUnread();
const { runProgram } = await import('./program/run-program.ts');
process.exit(await runProgram(process.argv.slice(2)));
