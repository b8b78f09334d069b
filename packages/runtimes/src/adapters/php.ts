import { cluesFrom } from '../clues.ts';
import { entryOf } from '../project-file.ts';
import { fieldsOf, jsonOf } from '../package-json.ts';
import { sureness } from '../runtime.ts';
import type { Runtime } from '../runtime.ts';

const entryFiles = ['main.php', 'index.php', 'app.php'];

export const php: Runtime = {
  name: 'php',
  program: 'php',
  versionCommand: ['php', '--version'],
  features: {
    languages: [{ language: 'php' }],
    packageManager: 'composer',
    permissions: 'sandbox',
    repl: ['php', '-a'],
    memorySetting: 'memory_limit',
  },
  detect(sight) {
    const clues = cluesFrom(sight, {
      language: 'php',
      programs: ['php'],
      extensions: ['php'],
      projectFiles: ['composer.json', 'composer.lock'],
      entryFiles,
    });
    const isOpened = sight.language === undefined && sight.firstLine.startsWith('<?php');
    return isOpened
      ? [...clues, { sureness: sureness.extension, language: 'php', why: 'the first line is <?php' }]
      : clues;
  },
  codeFile: () => ({ place: 'beside', name: '.php' }),
  prepare(folder) {
    if (Object.keys(fieldsOf(jsonOf(folder, 'composer.json')?.['require'])).length === 0) return undefined;
    const hasLocal = /"type"\s*:\s*"path"/.test(folder.texts.get('composer.json') ?? '');
    return {
      commands: [['composer', 'install', '--no-interaction', '--no-progress', '--quiet']],
      env: {},
      decidedBy: ['composer.json', 'composer.lock'],
      results: hasLocal ? [] : ['vendor'],
    };
  },
  execute({ file, project, args, memoryMb }) {
    const path = file ?? entryOf(project, entryFiles);
    if (path === undefined) return undefined;
    const memory = memoryMb === undefined ? [] : ['-d', `memory_limit=${memoryMb}M`];
    return { command: ['php', ...memory, path, ...args], env: {} };
  },
};
