/** Packages of npm that a template holds, as a lock file names them. */
export interface NpmTree {
  /** Folder with package.json and package-lock.json. Install scripts are not run. */
  readonly lock: URL;
  /** Where its node_modules stands inside, such as /opt/name. */
  readonly target: string;
  /** Links to make: path inside -> file below `target`. */
  readonly links?: Readonly<Record<string, string>>;
}

/** How a template of our own is made: what the base template has, and more. */
export interface Recipe {
  readonly name: string;
  /** Raised when the recipe or a program of ours in it changes, so that the template is made anew when it is needed next. */
  readonly revision: number;
  /** One sentence for people. */
  readonly description: string;
  /** Debian packages beyond the base template's; recommended ones are left out. */
  readonly packages: readonly string[];
  readonly npm?: readonly NpmTree[];
  /**
   * Puts its own files into the root, all of which comes from signed packages and lock files: no path in it is foreign. `directory`
   * is for what is needed on the way.
   */
  readonly finish?: (rootfs: string, directory: string) => Promise<void>;
  /** Its processes are alive in every sandbox of the template. */
  readonly startCommand?: string;
  /** Succeeds once the start command has done what it must. */
  readonly readyCommand?: string;
  readonly cpuCount?: number;
  readonly memoryMb?: number;
  readonly diskMb?: number;
}
