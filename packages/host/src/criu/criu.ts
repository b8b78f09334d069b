export interface Criu {
  /** Full path of the program. */
  readonly program: string;
  /** Folder for its LD_LIBRARY_PATH; empty for the system's, which needs none (ld.so(8) takes an empty one as unset). */
  readonly libraryDirectory: string;
  /** For instance `4.2.1`. */
  readonly version: string;
}

/** CRIU calls programs of the host by name. */
export function criuEnvironment(libraryDirectory: string): Record<string, string> {
  return { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LD_LIBRARY_PATH: libraryDirectory };
}
