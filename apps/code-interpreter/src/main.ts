import { readConfig } from './config.ts';
import { startCodeInterpreter } from './start.ts';

// Kernels end with this process, however it ends (kernels/process/group.ts). start.sh starts it again.
startCodeInterpreter(readConfig()).catch((error: unknown) => {
  process.stderr.write(`The code interpreter does not start: ${String(error)}\n`);
  process.exit(1);
});
