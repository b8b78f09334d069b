import { runPart } from '@soulbox/process';
import { controlProgram } from './control-program.ts';

process.exit(await runPart(controlProgram));
