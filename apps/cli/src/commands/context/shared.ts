import type { Context } from '../../login/contexts.ts';

export const contextNameArg = { type: 'positional', required: true, description: 'Name of the context' } as const;

/** Without the key. */
export function factsOf(name: string, { url, sandboxUrl = url }: Context, isUsed: boolean) {
  return { name, url, sandboxUrl, isUsed };
}
