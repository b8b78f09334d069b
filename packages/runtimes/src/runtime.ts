import type { Language, RuntimeName } from './names.ts';
import type { Folder, Sight } from './sight.ts';

/** One reason why a runtime may be the right one. */
export interface Clue {
  /** 0 to 1; see `sureness`. */
  readonly sureness: number;
  readonly language: Language;
  /** For people, such as `the first line is "#!/usr/bin/env python3"`. */
  readonly why: string;
}

/** The weight of each kind of clue. The strongest one counts; more clues of the same kind add nothing. */
export const sureness = {
  /** The caller names the language, and only this runtime runs it. */
  asked: 1,
  shebang: 1,
  /** A file for this runtime only: its configuration, its lock file, `packageManager`. */
  ownFile: 0.9,
  /** The name's extension belongs to one runtime. */
  extension: 0.8,
  /** Several runtimes read such a file. */
  manifest: 0.7,
  /** The extension, or the specified language, belongs to several runtimes. */
  sharedExtension: 0.5,
  /** A common entry file of projects. */
  entryFile: 0.4,
} as const;

export interface Features {
  readonly languages: readonly LanguageSupport[];
  /** Its command for dependencies. */
  readonly packageManager: string | undefined;
  /**
   * `explicit`: a program may do only what it was allowed. `sandbox`: everything that its user may do in the sandbox.
   */
  readonly permissions: 'explicit' | 'sandbox';
  /** The command for an interactive prompt. */
  readonly repl: readonly string[] | undefined;
  /**
   * The part of a memory limit that is passed to the runtime itself, so that it fails with its own message before it is
   * killed.
   */
  readonly memorySetting: string | undefined;
}

export interface LanguageSupport {
  readonly language: Language;
  /** Lowest version that runs it, such as `22.18`; undefined: any version. */
  readonly since?: string;
}

/** Where code without a file is written. */
export interface CodeFile {
  /** `beside`: in the working folder, so that it finds the modules there. `apart`: in a folder of its own. */
  readonly place: 'beside' | 'apart';
  /** For `apart` the full name; for `beside` the extension. */
  readonly name: string;
}

/** Deno's permissions in its own terms: true is all, a list names what is allowed. Absent: nothing. */
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

/** The program to run, once it is in the sandbox. All paths are the sandbox's. */
export interface Task {
  readonly language: Language;
  /** Absolute. Undefined: the project decides. */
  readonly file: string | undefined;
  /** Absolute path of the project, and its content. Undefined for a file outside of any project. */
  readonly project: { readonly path: string; readonly folder: Folder } | undefined;
  readonly args: readonly string[];
  readonly memoryMb: number | undefined;
  readonly permissions: Permissions;
}

export interface Execution {
  readonly command: readonly [string, ...string[]];
  /** The caller's variables take priority over these. */
  readonly env: Readonly<Record<string, string>>;
}

/** How to install a project's dependencies. */
export interface Preparation {
  /** Run one after the other in the project's folder. */
  readonly commands: readonly (readonly [string, ...string[]])[];
  readonly env: Readonly<Record<string, string>>;
  /** Files of the project whose content determines the result, in addition to its path and the runtime's version. */
  readonly decidedBy: readonly string[];
  /**
   * Folders of the project with the result, which are kept for other sandboxes. Empty: the result is always created
   * again. This applies to dependencies that are folders beside the project, because no lock file describes their
   * content.
   */
  readonly results: readonly string[];
}

/**
 * One way to run programs. It only describes: nothing here starts a process or touches a file, and all input may have
 * been written by an attacker.
 */
export interface Runtime {
  readonly name: RuntimeName;
  /** Its program, as it is looked up in PATH. */
  readonly program: string;
  /** Prints its version. */
  readonly versionCommand: readonly [string, ...string[]];
  readonly features: Features;
  detect(sight: Sight): readonly Clue[];
  /** Undefined: it runs only files of a project. */
  codeFile(language: Language): CodeFile | undefined;
  /** `path` is the location of the folder. Undefined: there is nothing to install. */
  prepare(folder: Folder, path: string): Preparation | undefined;
  /** Undefined: there is no file to start with. */
  execute(task: Task): Execution | undefined;
}
