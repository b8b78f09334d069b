import { cluesFrom } from '../clues.ts';
import { entryOf } from '../project-file.ts';
import type { Runtime } from '../runtime.ts';

const entryFiles = ['main.R', 'app.R', 'run.R', 'main.r'];

export const r: Runtime = {
  name: 'r',
  program: 'Rscript',
  versionCommand: ['Rscript', '--version'],
  features: {
    languages: [{ language: 'r' }],
    packageManager: undefined,
    permissions: 'sandbox',
    repl: ['R', '--quiet', '--no-save'],
    memorySetting: undefined,
  },
  detect: (sight) =>
    cluesFrom(sight, {
      language: 'r',
      programs: ['Rscript', 'R'],
      extensions: ['r'],
      projectFiles: ['DESCRIPTION', 'renv.lock', '.Rprofile'],
      entryFiles,
    }),
  codeFile: () => ({ place: 'beside', name: '.R' }),
  prepare: () => undefined,
  execute({ file, project, args }) {
    const path = file ?? entryOf(project, entryFiles);
    return path === undefined ? undefined : { command: ['Rscript', path, ...args], env: {} };
  },
};
