import type { Language } from './names.ts';
import type { Clue } from './runtime.ts';
import { sureness } from './runtime.ts';
import type { Sight } from './sight.ts';

/**
 * The interpreter that a first line asks for, without its folder and version: `#!/usr/bin/env python3.13` gives
 * `python`.
 */
export function shebangProgram(firstLine: string): string | undefined {
  if (!firstLine.startsWith('#!')) return undefined;
  const words = firstLine.slice(2).trim().split(/\s+/);
  const isEnv = /(^|\/)env$/.test(words[0] ?? '');
  // `env -S` passes several words on, and `NAME=value` sets variables.
  const program = isEnv ? words.slice(1).find((word) => !word.startsWith('-') && !word.includes('=')) : words[0];
  const name =
    (program ?? '')
      .split('/')
      .at(-1)
      ?.replace(/[\d.]+$/, '') ?? '';
  return name === '' ? undefined : name;
}

/** The extension of a name without its dot, in lower case; empty if it has none. */
export function extensionOf(name: string): string {
  const at = name.lastIndexOf('.');
  return at <= 0 ? '' : name.slice(at + 1).toLowerCase();
}

export interface Signs {
  readonly language: Language;
  /** Interpreter names in a first line. */
  readonly programs: readonly string[];
  readonly extensions: readonly string[];
  /** Project files that only this language has. */
  readonly projectFiles: readonly string[];
  /** The usual entry files of its projects, most usual first. */
  readonly entryFiles: readonly string[];
}

/**
 * Detection for a language that only one runtime runs. A file's own name and first line count more than the project
 * around it.
 */
export function cluesFrom(sight: Sight, signs: Signs): Clue[] {
  const { language } = signs;
  const { fileName, firstLine, folder } = sight;
  if (sight.language !== undefined) {
    return sight.language === language
      ? [{ sureness: sureness.asked, language, why: `${language} was requested` }]
      : [];
  }
  const clues: Clue[] = [];
  const program = shebangProgram(firstLine);
  if (program !== undefined && signs.programs.includes(program))
    clues.push({ sureness: sureness.shebang, language, why: `the first line names ${program}` });
  if (fileName !== undefined) {
    const extension = extensionOf(fileName);
    if (signs.extensions.includes(extension))
      clues.push({ sureness: sureness.extension, language, why: `the name ends with .${extension}` });
    return clues;
  }
  if (firstLine !== '') return clues;
  for (const name of signs.projectFiles)
    if (folder.names.has(name)) clues.push({ sureness: sureness.manifest, language, why: `the folder has ${name}` });
  const entry = firstOf(folder.names, signs.entryFiles);
  if (entry !== undefined) clues.push({ sureness: sureness.entryFile, language, why: `the folder has ${entry}` });
  return clues;
}

export function firstOf(names: ReadonlySet<string>, wanted: readonly string[]): string | undefined {
  return wanted.find((name) => names.has(name));
}
