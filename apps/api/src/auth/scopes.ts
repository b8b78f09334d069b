/** The vocabulary of permission. It is in the contract, because records and the CLI use it too. */
export { roles, scopes, scopesOfRole } from '@soulbox/contract';
export type { Role, Scope } from '@soulbox/contract';
