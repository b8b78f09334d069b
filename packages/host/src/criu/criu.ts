export interface Criu {
  /** The full path of the program. */
  readonly program: string;
  /**
   * The folder for its LD_LIBRARY_PATH. Empty for the system's CRIU, which needs none (ld.so(8) treats an empty one as
   * unset).
   */
  readonly libraryDirectory: string;
  /** For example `4.2.1`. */
  readonly version: string;
}

/** CRIU calls other programs of the host by name, so it needs a PATH. */
export function criuEnvironment(libraryDirectory: string): Record<string, string> {
  return { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LD_LIBRARY_PATH: libraryDirectory };
}
