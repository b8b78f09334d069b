/** How often a cache had what was asked for, since the start of this process. */
export interface CacheFigures {
  /** A word of ours: never a name or key of users. */
  readonly cache: CacheName;
  readonly hits: number;
  readonly misses: number;
}

/** `build_step`: finished steps of template builds. `dependencies`: of projects, for runs that share them. */
export type CacheName = 'build_step' | 'dependencies';

const figures: Record<CacheName, { hits: number; misses: number }> = {
  build_step: { hits: 0, misses: 0 },
  dependencies: { hits: 0, misses: 0 },
};

export function noteCacheUse(cache: CacheName, isHit: boolean): void {
  figures[cache][isHit ? 'hits' : 'misses'] += 1;
}

export function readCacheFigures(): CacheFigures[] {
  return Object.entries(figures).map(([cache, counts]) => ({ cache: cache as CacheName, ...counts }));
}
