import { extensionOf, firstOf, shebangProgram } from './clues.ts';
import type { Language } from './names.ts';
import type { Clue } from './runtime.ts';
import { sureness } from './runtime.ts';
import type { Folder, Sight } from './sight.ts';

const javascript = ['js', 'mjs', 'cjs', 'jsx'];
const typescript = ['ts', 'mts', 'cts', 'tsx'];

export type ScriptLanguage = Extract<Language, 'javascript' | 'typescript'>;

/** The language of a file by its name; undefined if it is neither. */
export function scriptLanguageOf(fileName: string): ScriptLanguage | undefined {
  const extension = extensionOf(fileName);
  if (javascript.includes(extension)) return 'javascript';
  return typescript.includes(extension) ? 'typescript' : undefined;
}

export interface ScriptSigns {
  /** Interpreter names in a first line. */
  readonly programs: readonly string[];
  /** Files that only this runtime writes or reads. */
  readonly ownFiles: readonly string[];
  /** Whether a package.json names it, and how. */
  readonly namedBy: (folder: Folder) => string | undefined;
}

/**
 * Detection for the runtimes that share JavaScript and TypeScript. The language comes from the name, the runtime from
 * the first line or from the project around it; without either, all three are equally good.
 */
export function scriptClues(sight: Sight, signs: ScriptSigns): Clue[] {
  const { fileName, firstLine, folder } = sight;
  const asked = sight.language;
  if (asked !== undefined && asked !== 'javascript' && asked !== 'typescript') return [];
  const byName = fileName === undefined ? undefined : scriptLanguageOf(fileName);
  const program = shebangProgram(firstLine);
  const isNamed = program !== undefined && signs.programs.includes(program);
  const isScript = byName !== undefined || asked !== undefined;
  if (fileName !== undefined && !isScript && !isNamed) return [];
  if (fileName === undefined && firstLine !== '' && !isScript && !isNamed) return [];

  const language = asked ?? byName ?? projectLanguage(folder);
  const clues: Clue[] = [];
  if (isNamed) clues.push({ sureness: sureness.shebang, language, why: `the first line names ${program}` });
  if (asked !== undefined) clues.push({ sureness: sureness.sharedExtension, language, why: `${asked} was requested` });
  else if (byName !== undefined && fileName !== undefined)
    clues.push({
      sureness: sureness.sharedExtension,
      language,
      why: `the name ends with .${extensionOf(fileName)}`,
    });
  return [...clues, ...folderClues(folder, signs, language)];
}

function folderClues(folder: Folder, signs: ScriptSigns, language: Language): Clue[] {
  const clues: Clue[] = [];
  for (const name of signs.ownFiles)
    if (folder.names.has(name)) clues.push({ sureness: sureness.ownFile, language, why: `the folder has ${name}` });
  const named = signs.namedBy(folder);
  if (named !== undefined) clues.push({ sureness: sureness.ownFile, language, why: named });
  if (folder.names.has('package.json'))
    clues.push({ sureness: sureness.sharedExtension, language, why: 'the folder has package.json' });
  const entry = firstOf(folder.names, scriptEntries);
  if (entry !== undefined) clues.push({ sureness: sureness.entryFile, language, why: `the folder has ${entry}` });
  return clues;
}

/** Entry files of projects that do not name one. */
export const scriptEntries = ['index', 'main', 'server', 'app', 'mod'].flatMap((stem) =>
  ['ts', 'mts', 'js', 'mjs', 'cjs'].map((ending) => `${stem}.${ending}`),
);

function projectLanguage(folder: Folder): ScriptLanguage {
  const entry = firstOf(folder.names, scriptEntries);
  const byEntry = entry === undefined ? undefined : scriptLanguageOf(entry);
  return byEntry ?? (folder.names.has('tsconfig.json') ? 'typescript' : 'javascript');
}

/** Code without a file: an extension that lets the runtime decide between module and script. */
export function scriptCodeFile(language: Language): { place: 'beside'; name: string } {
  return { place: 'beside', name: language === 'typescript' ? '.ts' : '.js' };
}
