import { jsonOf } from '../package-json.ts';
import { entryOf } from '../project-file.ts';
import { permissionNames } from '../runtime.ts';
import type { Permissions, Runtime } from '../runtime.ts';
import { scriptClues, scriptCodeFile, scriptEntries } from '../script-clues.ts';

const heapShare = 0.75;
/** The entry file of `deno init` comes first. */
const entryFiles = ['main.ts', 'mod.ts', ...scriptEntries];
/** Deno's own cache, inside the project, so that it can be kept. */
const cache = '.soulbox/deno';

export const deno: Runtime = {
  name: 'deno',
  program: 'deno',
  versionCommand: ['deno', '--version'],
  features: {
    languages: [{ language: 'javascript' }, { language: 'typescript' }],
    packageManager: 'deno',
    permissions: 'explicit',
    repl: ['deno', 'repl', '--no-prompt'],
    memorySetting: '--v8-flags=--max-old-space-size',
  },
  detect: (sight) =>
    scriptClues(sight, {
      programs: ['deno'],
      ownFiles: ['deno.json', 'deno.jsonc', 'deno.lock'],
      namedBy: () => undefined,
    }),
  codeFile: scriptCodeFile,
  prepare({ names, texts }, path) {
    const imports = jsonOf({ names, texts }, 'deno.json')?.['imports'];
    const isWanted = names.has('deno.lock') || typeof imports === 'object' || names.has('deno.jsonc');
    if (!isWanted) return undefined;
    return {
      commands: [['deno', 'install', '--quiet', ...(names.has('deno.lock') ? ['--frozen'] : [])]],
      env: { DENO_DIR: `${path}/${cache}`, DENO_NO_UPDATE_CHECK: '1', DENO_NO_PROMPT: '1' },
      decidedBy: ['deno.json', 'deno.jsonc', 'deno.lock', 'package.json'],
      results: [cache, 'node_modules'],
    };
  },
  execute({ file, project, args, memoryMb, permissions }) {
    // A task of deno.json would have permissions of its own, so only a file is run, with the caller's permissions.
    const path = file ?? entryOf(project, entryFiles);
    if (path === undefined) return undefined;
    const memory =
      memoryMb === undefined ? [] : [`--v8-flags=--max-old-space-size=${Math.floor(memoryMb * heapShare)}`];
    return {
      command: ['deno', 'run', '--quiet', '--no-prompt', ...memory, ...permissionFlags(permissions), path, ...args],
      env: {
        DENO_NO_UPDATE_CHECK: '1',
        // Deno colors its errors even if the output is not a terminal.
        NO_COLOR: '1',
        ...(project === undefined ? {} : { DENO_DIR: `${project.path}/${cache}` }),
      },
    };
  },
};

/** Everything that is not named is forbidden. */
function permissionFlags(permissions: Permissions): string[] {
  return permissionNames.flatMap((name) => {
    const value = permissions[name];
    if (value === true) return [`--allow-${name}`];
    return value === undefined || value === false || value.length === 0 ? [] : [`--allow-${name}=${value.join(',')}`];
  });
}
