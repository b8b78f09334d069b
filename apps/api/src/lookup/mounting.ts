import type { ApiContext } from '../context.ts';
import { aliveAfter } from './sandbox.ts';

/** Sandboxes that an error names. */
const namedMax = 3;

/**
 * Names some running or paused sandboxes that have a volume or bucket mounted. Undefined: there are none. A sandbox that is
 * being created right now is not found.
 */
export async function nameMounting(context: ApiContext, teamId: string, id: string): Promise<string | undefined> {
  const found = await context.records.sandboxes.listMounting(teamId, id, aliveAfter(context), namedMax + 1);
  if (found.length === 0) return undefined;
  return `${found.slice(0, namedMax).join(', ')}${found.length > namedMax ? ' and others' : ''}`;
}
