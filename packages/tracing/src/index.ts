export { startTracing } from './start-tracing.ts';
export type { TraceSettings } from './trace-settings.ts';
