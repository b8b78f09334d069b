import { setApiKey } from './server.ts';
import { createStrangerKey } from './stranger.ts';

/**
 * Makes the clients of this test file members of a new team, and returns its key. For files that count or end all
 * sandboxes of their team, because another file runs at the same time.
 */
export async function useOwnTeam(name: string): Promise<string> {
  const key = await createStrangerKey(name);
  setApiKey(key);
  return key;
}
