import { packageJsonOf } from '../package-json.ts';
import { entryOf, projectFile } from '../project-file.ts';
import type { Runtime } from '../runtime.ts';
import { scriptClues, scriptCodeFile, scriptEntries } from '../script-clues.ts';

const lockFiles = ['bun.lock', 'bun.lockb'];

export const bun: Runtime = {
  name: 'bun',
  program: 'bun',
  versionCommand: ['bun', '--version'],
  features: {
    languages: [{ language: 'javascript' }, { language: 'typescript' }],
    packageManager: 'bun',
    permissions: 'sandbox',
    repl: undefined,
    memorySetting: undefined,
  },
  detect: (sight) =>
    scriptClues(sight, {
      programs: ['bun'],
      ownFiles: [...lockFiles, 'bunfig.toml'],
      namedBy(folder) {
        const { packageManager, startUses = [] } = packageJsonOf(folder) ?? {};
        if (packageManager === 'bun') return 'packageManager of package.json is bun';
        return startUses[0] === 'bun' ? 'the start script of package.json runs bun' : undefined;
      },
    }),
  codeFile: scriptCodeFile,
  prepare(folder) {
    const manifest = packageJsonOf(folder);
    if (manifest?.hasDependencies !== true) return undefined;
    const isLocked = lockFiles.some((name) => folder.names.has(name));
    return {
      commands: [['bun', 'install', '--no-progress', ...(isLocked ? ['--frozen-lockfile'] : [])]],
      env: {},
      decidedBy: ['package.json', ...lockFiles, 'bunfig.toml', '.npmrc'],
      results: manifest.hasLocal ? [] : ['node_modules'],
    };
  },
  execute({ file, project, args }) {
    if (file !== undefined) return { command: ['bun', 'run', file, ...args], env: {} };
    const manifest = project === undefined ? undefined : packageJsonOf(project.folder);
    if (manifest?.hasStart === true) return { command: ['bun', 'run', '--silent', 'start', ...args], env: {} };
    const path = projectFile(project, manifest?.main) ?? entryOf(project, scriptEntries);
    return path === undefined ? undefined : { command: ['bun', 'run', path, ...args], env: {} };
  },
};
