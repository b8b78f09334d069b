export type { ObjectProcessSettings } from './run-objects.ts';
export { serveObjects } from './serve-objects.ts';
