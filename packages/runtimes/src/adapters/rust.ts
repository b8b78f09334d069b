import { cluesFrom } from '../clues.ts';
import type { Runtime } from '../runtime.ts';

export const rust: Runtime = {
  name: 'rust',
  program: 'cargo',
  versionCommand: ['cargo', '--version'],
  features: {
    languages: [{ language: 'rust' }],
    packageManager: 'cargo',
    permissions: 'sandbox',
    repl: undefined,
    memorySetting: undefined,
  },
  detect: (sight) =>
    cluesFrom(sight, {
      language: 'rust',
      programs: ['cargo'],
      extensions: ['rs'],
      projectFiles: ['Cargo.toml', 'Cargo.lock'],
      entryFiles: [],
    }),
  // Cargo runs projects; a single file would have to be compiled into another folder first.
  codeFile: () => undefined,
  prepare({ names }) {
    if (!names.has('Cargo.toml')) return undefined;
    return {
      commands: [['cargo', 'build', '--quiet', '--release', ...(names.has('Cargo.lock') ? ['--locked'] : [])]],
      env: {},
      decidedBy: [],
      results: [],
    };
  },
  execute({ file, project, args }) {
    if (project?.folder.names.has('Cargo.toml') !== true || file !== undefined) return undefined;
    return { command: ['cargo', 'run', '--quiet', '--release', '--', ...args], env: {} };
  },
};
