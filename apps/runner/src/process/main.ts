import { runPart } from '@soulbox/process';
import { runnerProgram } from './runner-program.ts';

process.exit(await runPart(runnerProgram));
