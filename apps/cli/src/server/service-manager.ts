import { run } from '@soulbox/base';
import { notifySocket } from '../config.ts';

/**
 * Notifies the service manager with the words of sd_notify(3), such as `READY=1`. Uses systemd's own program because
 * the socket takes datagrams, which Node cannot send to a path. Does nothing without a service manager. A failed
 * notification is not a reason to stop: the manager has its own time limit.
 */
export async function tellServiceManager(states: readonly string[], socket = notifySocket): Promise<void> {
  if (socket === undefined || socket === '') return;
  const args = [`--pid=${process.pid}`, ...states];
  await run('systemd-notify', args, {
    env: { PATH: '/usr/bin:/bin', NOTIFY_SOCKET: socket },
    timeoutMs: 5000,
  }).catch((error: unknown) => {
    console.error(
      `Warning: systemd was not told (${states.join(' ')}): ${error instanceof Error ? error.message : String(error)}`,
    );
  });
}
