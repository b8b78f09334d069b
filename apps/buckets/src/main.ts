import { runPart } from '@soulbox/process';
import { bucketProgram } from './run-buckets.ts';

process.exit(await runPart(bucketProgram));
