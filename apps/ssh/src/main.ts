import { runPart } from '@soulbox/process';
import { sshProgram } from './run-ssh.ts';

process.exit(await runPart(sshProgram));
