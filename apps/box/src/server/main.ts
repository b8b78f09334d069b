import { runPart } from '@soulbox/process';
import { serverProgram } from './run-server.ts';

process.exit(await runPart(serverProgram));
