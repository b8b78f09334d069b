export { recipes } from '@soulbox/runner/recipes';
