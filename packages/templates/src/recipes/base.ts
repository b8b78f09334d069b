import type { Recipe } from './recipe.ts';

/** The template of a create that names none. */
export const baseTemplateName = 'base';

/** The basis of all other recipes: 25 s and 400 MB. */
export const baseRecipe: Recipe = {
  name: baseTemplateName,
  revision: 3,
  description: 'Debian with Python, Node.js and git',
  packages: [],
};
