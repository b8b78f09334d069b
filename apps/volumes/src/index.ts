export { startVolumeService } from './start.ts';
export type { VolumeServer, VolumeServerOptions } from './start.ts';
export type { VolumeProcessSettings } from './run-volumes.ts';
