import { cluesFrom } from '../clues.ts';
import { entryOf } from '../project-file.ts';
import type { Runtime } from '../runtime.ts';

const entryFiles = ['main.lua', 'init.lua', 'app.lua'];

export const lua: Runtime = {
  name: 'lua',
  program: 'lua',
  versionCommand: ['lua', '-v'],
  features: {
    languages: [{ language: 'lua' }],
    packageManager: undefined,
    permissions: 'sandbox',
    repl: ['lua'],
    memorySetting: undefined,
  },
  detect: (sight) =>
    cluesFrom(sight, {
      language: 'lua',
      programs: ['lua', 'luajit'],
      extensions: ['lua'],
      projectFiles: [...sight.folder.names].filter((name) => name.endsWith('.rockspec')).slice(0, 1),
      entryFiles,
    }),
  codeFile: () => ({ place: 'beside', name: '.lua' }),
  prepare: () => undefined,
  execute({ file, project, args }) {
    const path = file ?? entryOf(project, entryFiles);
    return path === undefined ? undefined : { command: ['lua', path, ...args], env: {} };
  },
};
