/** npm packages of a template, listed in a lock file. */
export interface NpmTree {
  /** Folder with package.json and package-lock.json. Install scripts are not run. */
  readonly lock: URL;
  /** Path of its node_modules inside, such as /opt/name. */
  readonly target: string;
  /** Links to create: path inside -> file below `target`. */
  readonly links?: Readonly<Record<string, string>>;
}

/** How one of our own templates is created: the content of the base template, and more. */
export interface Recipe {
  readonly name: string;
  /**
   * Increased when the recipe or one of our programs in it changes, so that the template is created again the next time
   * it is needed.
   */
  readonly revision: number;
  /** One sentence for people. */
  readonly description: string;
  /** Debian packages beyond the base template's; recommended ones are left out. */
  readonly packages: readonly string[];
  readonly npm?: readonly NpmTree[];
  /**
   * Puts its own files into the root. All of the root comes from signed packages and lock files, so its paths can be
   * trusted. `directory` is for temporary files.
   */
  readonly finish?: (rootfs: string, directory: string) => Promise<void>;
  /** Its processes are alive in every sandbox of the template. */
  readonly startCommand?: string;
  /** Succeeds once the start command is ready. */
  readonly readyCommand?: string;
  readonly cpuCount?: number;
  readonly memoryMb?: number;
  readonly diskMb?: number;
}
