import type { Recipe } from './recipe.ts';

/** The name of the template that create uses when the caller names none. */
export const baseTemplateName = 'base';

/** What all others begin with: 25 s and 400 MB. */
export const baseRecipe: Recipe = {
  name: baseTemplateName,
  revision: 3,
  description: 'Debian with Python, Node.js and git',
  packages: [],
};
