import type { Driver } from '../driver.ts';
import { waitForPager } from './pager/pagers.ts';

/**
 * A pager that ends a sandbox reports the reason a moment after the processes have ended: milliseconds, or more on a
 * busy host. Nobody waits this long unless the pager still runs.
 */
const verdictTimeoutMs = 2000;

/** Why the sandbox that was restored in this work folder was ended, if its pager ended it. */
export async function whyEnded(restoreFolder: string): ReturnType<Driver['whyEnded']> {
  const state = await waitForPager(restoreFolder, verdictTimeoutMs);
  return state === 'damaged' || state === 'interrupted' ? state : undefined;
}
