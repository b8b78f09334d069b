import { runPart } from '@soulbox/process';
import { gatewayProgram } from './run-gateway.ts';

process.exit(await runPart(gatewayProgram));
