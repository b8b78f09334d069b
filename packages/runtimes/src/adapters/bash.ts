import { cluesFrom } from '../clues.ts';
import { entryOf } from '../project-file.ts';
import type { Runtime } from '../runtime.ts';

const entryFiles = ['main.sh', 'run.sh', 'start.sh'];

export const bash: Runtime = {
  name: 'bash',
  program: 'bash',
  versionCommand: ['bash', '--version'],
  features: {
    languages: [{ language: 'bash' }],
    packageManager: undefined,
    permissions: 'sandbox',
    repl: ['bash'],
    memorySetting: undefined,
  },
  detect: (sight) =>
    cluesFrom(sight, {
      language: 'bash',
      programs: ['bash', 'sh', 'dash'],
      extensions: ['sh', 'bash'],
      projectFiles: [],
      entryFiles,
    }),
  codeFile: () => ({ place: 'beside', name: '.sh' }),
  prepare: () => undefined,
  execute({ file, project, args }) {
    const path = file ?? entryOf(project, entryFiles);
    return path === undefined ? undefined : { command: ['bash', path, ...args], env: {} };
  },
};
