import { runPart } from '@soulbox/process';
import { volumeProgram } from './run-volumes.ts';

process.exit(await runPart(volumeProgram));
