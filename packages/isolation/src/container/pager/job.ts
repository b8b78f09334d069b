import type { BlockDigests } from '../../driver.ts';

/** What a pager is told. Paths are absolute. */
export interface PagerJob {
  /** The saved memory: what `criu restore` gets as `-D`. */
  readonly imageDirectory: string;
  /** A folder of this restore's own, mode 0700: what `criu restore` gets as `-W`. */
  readonly workDirectory: string;
  /** All `pages-*.img` of the image. */
  readonly digests: BlockDigests;
  /** The folders of the sandbox's control group, one per tree: what is in them is killed when its memory cannot be given. */
  readonly killDirectories: readonly string[];
}
