import type { Language } from './names.ts';

/** A folder as it was looked at: what is in it, and the text of those project files that can be read. */
export interface Folder {
  readonly names: ReadonlySet<string>;
  readonly texts: ReadonlyMap<string, string>;
}

export const emptyFolder: Folder = { names: new Set(), texts: new Map() };

/** All that is known of a program before anything of it runs. */
export interface Sight {
  /** Base name of the file to run; undefined for a project, and for code that has no name. */
  readonly fileName: string | undefined;
  /** The file's first line, without its end; empty for a project. */
  readonly firstLine: string;
  /** A project's own folder, or the nearest one above a file that has project files. */
  readonly folder: Folder;
  /** What the caller says it is written in. */
  readonly language: Language | undefined;
}

/** Project files whose text decides something. All others count by their names alone. */
export const readFiles = [
  'package.json',
  'deno.json',
  'deno.jsonc',
  'pyproject.toml',
  'requirements.txt',
  'composer.json',
  'Gemfile',
] as const;
