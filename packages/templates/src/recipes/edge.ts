import type { Recipe } from './recipe.ts';

/**
 * The engines of edge functions, without anything that the server itself provides. The supervisor is added to each
 * sandbox (docs/decisions/017), so this changes only when an engine changes.
 */
export const edgeRecipe: Recipe = {
  name: 'edge',
  revision: 1,
  description: 'workerd and edge-runtime, for edge functions',
  packages: [],
  npm: [{ lock: new URL('./edge/', import.meta.url), target: '/opt/soulbox/edge' }],
  cpuCount: 1,
  memoryMb: 512,
};
