export type { PolicedSandbox } from './policies/policed-sandbox.ts';
