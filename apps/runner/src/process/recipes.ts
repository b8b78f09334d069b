import { codeInterpreterRecipe } from '@soulbox/code-interpreter/recipe';
import { mcpGatewayRecipe } from '@soulbox/mcp-gateway/recipe';
import { baseRecipe, desktopRecipe, edgeRecipe, runtimesRecipe } from '@soulbox/templates';
import type { Recipe } from '@soulbox/templates';

/** The built-in templates. SoulBox makes them at their first use, or with `soulbox template make`. */
export const recipes: readonly Recipe[] = [
  baseRecipe,
  codeInterpreterRecipe,
  desktopRecipe,
  edgeRecipe,
  mcpGatewayRecipe,
  runtimesRecipe,
];
