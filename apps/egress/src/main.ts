import { runPart } from '@soulbox/process';
import { egressProgram } from './run-egress.ts';

process.exit(await runPart(egressProgram));
