/** When volumes are uploaded. Milliseconds. */
export interface UploadLimits {
  /** Volumes that are uploaded at once, of different groups. Each takes about 100 MiB of memory. */
  readonly atOnce: number;
  /** Between two looks at what has changed. */
  readonly lookMs: number;
  /** After the first change, so that changes of one moment become one generation. */
  readonly settleMs: number;
  /** Between two generations of a volume. */
  readonly everyMs: number;
  /** An upload takes at most one part in so many of the time: large metadata are uploaded less often. */
  readonly pauseFactor: number;
  /** After an upload that failed. Doubled each time, up to `awayMaxMs`. */
  readonly awayMs: number;
  readonly awayMaxMs: number;
  /** Between two looks at how much the disk has. */
  readonly trimMs: number;
  /** Between two collections of packs, and how long a pack must be without a name. */
  readonly collectMs: number;
  readonly graceMs: number;
  /** Between two steps that rewrite packs, each of 32 MiB at most. */
  readonly rewriteMs: number;
}

export const usualUploadLimits: UploadLimits = {
  ...{ atOnce: 2, lookMs: 1000, settleMs: 3000, everyMs: 10_000, pauseFactor: 20 },
  ...{ awayMs: 2000, awayMaxMs: 300_000, trimMs: 10_000, collectMs: 3 * 3_600_000, graceMs: 2 * 3_600_000 },
  rewriteMs: 30_000,
};
