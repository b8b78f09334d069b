export { createPolicyFeed } from './policy-feed.ts';
export type { PolicyFeed, PolicyMessage } from './policy-feed.ts';
export { addPolicyRoutes } from './serve-policies.ts';
export { watchPolicies } from './watch-policies.ts';
export type { PolicyTaker, PolicyWatch } from './watch-policies.ts';
