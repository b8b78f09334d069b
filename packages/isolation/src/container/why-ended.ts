import type { Driver } from '../driver.ts';
import { waitForPager } from './pager/pagers.ts';

/** A pager that ends a sandbox says why a moment after its processes are gone. */
const verdictTimeoutMs = 300;

/** Why the sandbox that was restored in this work folder was ended, if its pager did it. */
export async function whyEnded(restoreFolder: string): ReturnType<Driver['whyEnded']> {
  const state = await waitForPager(restoreFolder, verdictTimeoutMs);
  return state === 'damaged' || state === 'interrupted' ? state : undefined;
}
