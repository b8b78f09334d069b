import { key, wholeNumber } from '@soulbox/base/config';
import type { ConfigOf } from '@soulbox/base';

export const sshConfigSchema = {
  port: key(
    'SOULBOX_SSH_PORT',
    wholeNumber(0, 65_535),
    0,
    'TCP port for SSH into sandboxes, on the address of `SOULBOX_HOST`, usually 2222. 0: SSH is off.',
  ),
  maxConnections: key(
    'SOULBOX_SSH_MAX_CONNECTIONS',
    wholeNumber(1, 100_000),
    500,
    'SSH connections that have signed in. One team may have a quarter of them. More are refused.',
  ),
} as const;

export type SshConfig = ConfigOf<typeof sshConfigSchema>;
