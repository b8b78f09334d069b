import { codeInterpreterRecipe } from '@soulbox/code-interpreter/recipe';
import { mcpGatewayRecipe } from '@soulbox/mcp-gateway/recipe';
import { baseRecipe, desktopRecipe, edgeRecipe, runtimesRecipe } from '@soulbox/templates';
import type { Recipe } from '@soulbox/templates';

/** The templates that SoulBox makes itself, when they are first asked for or by `soulbox template make`. */
export const recipes: readonly Recipe[] = [
  baseRecipe,
  codeInterpreterRecipe,
  desktopRecipe,
  edgeRecipe,
  mcpGatewayRecipe,
  runtimesRecipe,
];
