import { edgeProgramMode } from './engine/edge-settings.ts';
import { startSupervisor } from './start.ts';

const [, , mode] = process.argv;
if (mode === edgeProgramMode) {
  const { runEdgeProgram } = await import('./engine/edge-program.ts');
  await runEdgeProgram();
} else {
  await startSupervisor();
}
