import type { BlockDigests } from '../../driver.ts';

/** The input of a pager. Paths are absolute. */
export interface PagerJob {
  /** The folder of the saved memory: `criu restore` gets it as `-D`. */
  readonly imageDirectory: string;
  /** A folder of this restore only, mode 0700: `criu restore` gets it as `-W`. */
  readonly workDirectory: string;
  /** All `pages-*.img` of the image. */
  readonly digests: BlockDigests;
  /**
   * The folders of the sandbox's control group, one per tree: their processes are killed if memory cannot be provided.
   */
  readonly killDirectories: readonly string[];
}
