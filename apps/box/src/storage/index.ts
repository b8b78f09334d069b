export { recoverFromStore } from './recover.ts';
export type { Recovered } from './recover.ts';
export type { Lost } from './find-lost.ts';
