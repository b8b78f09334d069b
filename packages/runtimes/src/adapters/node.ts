import { packageJsonOf } from '../package-json.ts';
import { entryOf, projectFile } from '../project-file.ts';
import type { Runtime } from '../runtime.ts';
import { scriptClues, scriptCodeFile, scriptEntries } from '../script-clues.ts';

/** V8's heap is most of Node's memory, but not all of it. */
const heapShare = 0.75;
const managers = ['npm', 'pnpm', 'yarn'];

export const node: Runtime = {
  name: 'node',
  program: 'node',
  versionCommand: ['node', '--version'],
  features: {
    // Since that version Node strips types by itself.
    languages: [{ language: 'javascript' }, { language: 'typescript', since: '22.18' }],
    packageManager: 'npm',
    permissions: 'sandbox',
    repl: ['node'],
    memorySetting: '--max-old-space-size',
  },
  detect: (sight) =>
    scriptClues(sight, {
      programs: ['node', 'nodejs'],
      ownFiles: ['package-lock.json', 'npm-shrinkwrap.json', '.nvmrc', '.node-version'],
      namedBy(folder) {
        const { packageManager = '', startUses = [] } = packageJsonOf(folder) ?? {};
        if (managers.includes(packageManager)) return `packageManager of package.json is ${packageManager}`;
        return startUses[0] === 'node' ? 'the start script of package.json runs node' : undefined;
      },
    }),
  codeFile: scriptCodeFile,
  prepare(folder) {
    const manifest = packageJsonOf(folder);
    if (manifest?.hasDependencies !== true) return undefined;
    const isLocked = folder.names.has('package-lock.json') || folder.names.has('npm-shrinkwrap.json');
    return {
      commands: [['npm', isLocked ? 'ci' : 'install', '--no-audit', '--no-fund', '--loglevel=error']],
      env: { npm_config_update_notifier: 'false' },
      decidedBy: ['package.json', 'package-lock.json', 'npm-shrinkwrap.json', '.npmrc'],
      results: manifest.hasLocal ? [] : ['node_modules'],
    };
  },
  execute({ file, project, args, memoryMb }) {
    const env: Record<string, string> =
      memoryMb === undefined ? {} : { NODE_OPTIONS: `--max-old-space-size=${Math.floor(memoryMb * heapShare)}` };
    if (file !== undefined) return { command: ['node', file, ...args], env };
    const manifest = project === undefined ? undefined : packageJsonOf(project.folder);
    if (manifest?.hasStart === true) return { command: ['npm', '--silent', 'run', 'start', '--', ...args], env };
    const path = projectFile(project, manifest?.main) ?? entryOf(project, scriptEntries);
    return path === undefined ? undefined : { command: ['node', path, ...args], env };
  },
};
