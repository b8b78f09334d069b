import { edgeProgramMode } from './edge-settings.ts';
import type { EdgeSettings } from './edge-settings.ts';
import type { PrepareEngine } from './engine.ts';

/** Starts this same program again as the engine, so that only one file must be uploaded into the sandbox. */
export const prepareEdge: PrepareEngine = async (settings, paths) => {
  const told: EdgeSettings = {
    source: settings.source,
    variables: settings.variables,
    requests: paths.requests,
    ping: paths.ping,
  };
  const flags = ['--no-warnings', '--experimental-vm-modules', `--max-old-space-size=${settings.memoryMb}`];
  const [, script = ''] = process.argv;
  return Promise.resolve({
    command: process.execPath,
    args: [...flags, script, edgeProgramMode],
    input: JSON.stringify(told),
  });
};
