import { cluesFrom } from '../clues.ts';
import type { Runtime } from '../runtime.ts';
import { entryOf } from '../project-file.ts';

const entryFiles = ['__main__.py', 'main.py', 'app.py', 'run.py'];
/**
 * Packages are installed into a folder of the project that is in Python's path: unlike a virtual environment it can be
 * moved.
 */
const target = '.soulbox/python';
/** A line that names a file or folder: the result depends on its content, which is not in the list. */
const localRequirement =
  /^\s*(?:[./]|-[erc]\b|--(?:editable|requirement|constraint)|file:)|@\s*file:|\.(?:whl|zip|tar\.gz)\s*$/m;

export const python: Runtime = {
  name: 'python',
  program: 'python3',
  versionCommand: ['python3', '--version'],
  features: {
    languages: [{ language: 'python' }],
    packageManager: 'pip',
    permissions: 'sandbox',
    repl: ['python3', '-q'],
    memorySetting: undefined,
  },
  detect: (sight) =>
    cluesFrom(sight, {
      language: 'python',
      programs: ['python'],
      extensions: ['py', 'pyw'],
      projectFiles: ['pyproject.toml', 'requirements.txt', 'setup.py', 'Pipfile'],
      entryFiles,
    }),
  codeFile: () => ({ place: 'beside', name: '.py' }),
  prepare({ names, texts }) {
    const isListed = names.has('requirements.txt');
    if (!isListed && !names.has('pyproject.toml')) return undefined;
    const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--upgrade'];
    // pyproject.toml also installs the project's own code, which depends on its files and not on the list.
    const isKept = isListed && !localRequirement.test(texts.get('requirements.txt') ?? '');
    return {
      commands: [['python3', ...install, '--target', target, ...(isListed ? ['-r', 'requirements.txt'] : ['.'])]],
      env: { PIP_NO_INPUT: '1' },
      decidedBy: ['requirements.txt'],
      results: isKept ? [target] : [],
    };
  },
  execute({ file, project, args }) {
    const path = file ?? entryOf(project, entryFiles);
    if (path === undefined) return undefined;
    const modules = project === undefined ? [] : [`${project.path}/${target}`];
    return {
      command: ['python3', '-u', path, ...args],
      env: modules.length === 0 ? {} : { PYTHONPATH: modules.join(':') },
    };
  },
};
