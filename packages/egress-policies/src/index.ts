export { checkIdentityTokens, checkRules, isHeaderValue } from './check-rules.ts';
export { findPlaceholder, parseTemplate } from './placeholders.ts';
export type { Placeholder, TemplatePart } from './placeholders.ts';
export { createPolicyFeed } from './policy-feed.ts';
export type { PolicyFeed, PolicyMessage } from './policy-feed.ts';
export { addPolicyRoutes } from './serve-policies.ts';
export { watchPolicies } from './watch-policies.ts';
export type { PolicyTaker, PolicyWatch } from './watch-policies.ts';
