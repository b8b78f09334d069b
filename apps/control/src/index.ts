export { readClientSecret } from './client-secret.ts';
export { startControl } from './start.ts';
export type { Control, ControlOptions, ControlSettings } from './start.ts';
export type { ControlProcessSettings } from './control-program.ts';
