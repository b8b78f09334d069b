import type { Language } from './names.ts';

/** A folder's content: its names, and the text of the project files that can be read. */
export interface Folder {
  readonly names: ReadonlySet<string>;
  readonly texts: ReadonlyMap<string, string>;
}

export const emptyFolder: Folder = { names: new Set(), texts: new Map() };

/** All that is known about a program before any of it runs. */
export interface Sight {
  /** Base name of the file to run; undefined for a project, and for code without a name. */
  readonly fileName: string | undefined;
  /** The file's first line, without its line end; empty for a project. */
  readonly firstLine: string;
  /** A project's own folder, or the nearest one above a file that has project files. */
  readonly folder: Folder;
  /** The language that the caller specified. */
  readonly language: Language | undefined;
}

/** Project files whose text matters. All others count by their names alone. */
export const readFiles = [
  'package.json',
  'deno.json',
  'deno.jsonc',
  'pyproject.toml',
  'requirements.txt',
  'composer.json',
  'Gemfile',
] as const;
