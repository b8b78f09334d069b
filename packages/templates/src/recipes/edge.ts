import type { Recipe } from './recipe.ts';

/**
 * What edge functions run in: the engines, and nothing that the server has to bring itself. The supervisor comes with each sandbox
 * (docs/decisions/017), so this changes only when an engine does.
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
