import { cluesFrom } from '../clues.ts';
import { entryOf } from '../project-file.ts';
import type { Runtime } from '../runtime.ts';

const entryFiles = ['main.rb', 'app.rb', 'run.rb'];
const gems = '.soulbox/ruby';

export const ruby: Runtime = {
  name: 'ruby',
  program: 'ruby',
  versionCommand: ['ruby', '--version'],
  features: {
    languages: [{ language: 'ruby' }],
    packageManager: 'bundle',
    permissions: 'sandbox',
    repl: ['irb'],
    memorySetting: undefined,
  },
  detect: (sight) =>
    cluesFrom(sight, {
      language: 'ruby',
      programs: ['ruby'],
      extensions: ['rb'],
      projectFiles: ['Gemfile', 'Gemfile.lock'],
      entryFiles,
    }),
  codeFile: () => ({ place: 'beside', name: '.rb' }),
  prepare({ names, texts }, path) {
    if (!names.has('Gemfile')) return undefined;
    return {
      commands: [['bundle', 'install', '--quiet']],
      env: { BUNDLE_PATH: `${path}/${gems}`, ...(names.has('Gemfile.lock') ? { BUNDLE_FROZEN: 'true' } : {}) },
      decidedBy: ['Gemfile', 'Gemfile.lock'],
      // A lock file does not describe the content of a gem in a folder beside the project.
      results: /\bpath\b/.test(texts.get('Gemfile') ?? '') ? [] : [gems],
    };
  },
  execute({ file, project, args }) {
    const path = file ?? entryOf(project, entryFiles);
    if (path === undefined) return undefined;
    if (project?.folder.names.has('Gemfile') !== true) return { command: ['ruby', path, ...args], env: {} };
    return {
      command: ['bundle', 'exec', 'ruby', path, ...args],
      env: { BUNDLE_PATH: `${project.path}/${gems}`, BUNDLE_GEMFILE: `${project.path}/Gemfile` },
    };
  },
};
