import { runPart } from '@soulbox/process';
import { objectProgram } from './run-objects.ts';

process.exit(await runPart(objectProgram));
