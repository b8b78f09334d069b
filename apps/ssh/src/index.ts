export type { SshProcessSettings } from './run-ssh.ts';
export { startSsh } from './start.ts';
export type { Ssh, SshOptions } from './start.ts';
