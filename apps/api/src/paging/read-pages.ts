import type { ReportedSandbox, SandboxListQuery, SandboxPosition } from '@soulbox/storage';
import type { ApiContext } from '../context.ts';
import { pageCharsMax } from '../limits.ts';

const pageSize = 100;

/** Up to `max` sandboxes, page by page, so that the caller need not hold the data of all of them in memory. */
export async function* readPages(
  { records }: ApiContext,
  query: Omit<SandboxListQuery, 'after' | 'limit' | 'maxChars'>,
  max: number,
): AsyncGenerator<ReportedSandbox[]> {
  let after: SandboxPosition | undefined;
  for (let left = max; left > 0;) {
    const limit = Math.min(pageSize, left);
    const { sandboxes, next } = await records.sandboxes.list({ ...query, after, limit, maxChars: pageCharsMax });
    yield sandboxes;
    if (next === undefined) return;
    left -= sandboxes.length;
    after = next;
  }
}
