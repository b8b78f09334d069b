import type { Language, RuntimeName } from './names.ts';
import type { Folder, Sight } from './sight.ts';

/** One reason to think that a runtime is the right one. */
export interface Clue {
  /** 0 to 1; see `sureness`. */
  readonly sureness: number;
  readonly language: Language;
  /** For people, such as `the first line is "#!/usr/bin/env python3"`. */
  readonly why: string;
}

/** How much each kind of clue says. The strongest one counts; more of the same kind add nothing. */
export const sureness = {
  /** The caller names the language, and only this runtime runs it. */
  asked: 1,
  shebang: 1,
  /** Written for this runtime and no other: its configuration, its lock file, `packageManager`. */
  ownFile: 0.9,
  /** The name's ending belongs to one runtime. */
  extension: 0.8,
  /** Several runtimes read such a file. */
  manifest: 0.7,
  /** The ending, or the language asked for, belongs to several runtimes. */
  sharedExtension: 0.5,
  /** A file that projects often begin with. */
  entryFile: 0.4,
} as const;

export interface Features {
  readonly languages: readonly LanguageSupport[];
  /** Its command for dependencies. */
  readonly packageManager: string | undefined;
  /** `explicit`: a program may do only what it was allowed. `sandbox`: all that its user may in the sandbox. */
  readonly permissions: 'explicit' | 'sandbox';
  /** The command line that talks to a person. */
  readonly repl: readonly string[] | undefined;
  /** What of a memory limit the runtime itself is told, so that it fails in its own words before it is killed. */
  readonly memorySetting: string | undefined;
}

export interface LanguageSupport {
  readonly language: Language;
  /** Lowest version that runs it, such as `22.18`; undefined: any. */
  readonly since?: string;
}

/** Where code that came without a file is written. */
export interface CodeFile {
  /** `beside`: in the working folder, so that it finds the modules there. `apart`: in a folder of its own. */
  readonly place: 'beside' | 'apart';
  /** For `apart` the whole name; for `beside` its ending. */
  readonly name: string;
}

/** Deno's, in its own words: true is all, a list names what. Absent: nothing. */
export interface Permissions {
  readonly net?: boolean | readonly string[];
  readonly read?: boolean | readonly string[];
  readonly write?: boolean | readonly string[];
  readonly env?: boolean | readonly string[];
  readonly run?: boolean | readonly string[];
  readonly sys?: boolean | readonly string[];
  readonly import?: boolean | readonly string[];
  readonly ffi?: boolean | readonly string[];
}
export const permissionNames = ['net', 'read', 'write', 'env', 'run', 'sys', 'import', 'ffi'] as const;

/** What is to be run, once it lies in the sandbox. All paths are the sandbox's. */
export interface Task {
  readonly language: Language;
  /** Absolute. Undefined: the project decides. */
  readonly file: string | undefined;
  /** Absolute path of the project, and what is in it. Undefined for a file outside of any. */
  readonly project: { readonly path: string; readonly folder: Folder } | undefined;
  readonly args: readonly string[];
  readonly memoryMb: number | undefined;
  readonly permissions: Permissions;
}

export interface Execution {
  readonly command: readonly [string, ...string[]];
  /** The caller's variables win over these. */
  readonly env: Readonly<Record<string, string>>;
}

/** How dependencies get into a project. */
export interface Preparation {
  /** Run one after the other in the project's folder. */
  readonly commands: readonly (readonly [string, ...string[]])[];
  readonly env: Readonly<Record<string, string>>;
  /** Files of the project whose content decides the result, its path and the runtime's version aside. */
  readonly decidedBy: readonly string[];
  /**
   * Folders of the project that hold the result: kept for other sandboxes. Empty: it is always made anew, as for dependencies
   * that are folders beside the project, whose content no lock file knows.
   */
  readonly results: readonly string[];
}

/**
 * One way to run programs. It only describes: nothing here starts a process or touches a file, and everything it is given may
 * have been written by somebody hostile.
 */
export interface Runtime {
  readonly name: RuntimeName;
  /** Its program, as it is looked for in PATH. */
  readonly program: string;
  /** Prints its version. */
  readonly versionCommand: readonly [string, ...string[]];
  readonly features: Features;
  detect(sight: Sight): readonly Clue[];
  /** Undefined: it runs files of a project only. */
  codeFile(language: Language): CodeFile | undefined;
  /** `path` is where the folder is. Undefined: there is nothing to install. */
  prepare(folder: Folder, path: string): Preparation | undefined;
  /** Undefined: there is nothing that it could begin with. */
  execute(task: Task): Execution | undefined;
}
