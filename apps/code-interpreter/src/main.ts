import { readConfig } from './config.ts';
import { startCodeInterpreter } from './start.ts';

// Kernels end with this process, whatever its end (kernels/process/group.ts); start.sh begins anew.
startCodeInterpreter(readConfig()).catch((error: unknown) => {
  process.stderr.write(`The code interpreter does not start: ${String(error)}\n`);
  process.exit(1);
});
