import { keepOnExec, renumber } from '@soulbox/linux/descriptors';
import { check, lastErrno, SystemCallError } from '@soulbox/linux/libc';
import { replaceProgram } from '@soulbox/linux/processes';
import { addressFamily, connect, createSocket, socketType } from '@soulbox/linux/sockets';
import { receiveMessage, unixAddress } from '@soulbox/linux/unix-messages';
import { channelFd, stoppedUnitCode } from './messages.ts';
import { unitMessageMax, unitSocketPath } from './unit-socket.ts';
import type { UnitLaunch } from './unit-socket.ts';

// The program of soulbox-runner.service, soulbox-control.service, soulbox-egress.service, soulbox-gateway.service,
// soulbox-ssh.service, soulbox-volumes.service, soulbox-buckets.service and soulbox-objects.service. The supervisor recognizes the unit by its control group, sends it a program with open descriptors, and this process becomes that program.

const supervisor = connectTo(unitSocketPath);
const { launch, descriptors } = receiveLaunch(supervisor);
// oxlint-disable-next-line no-restricted-properties -- systemd's variable, which the part does not get
const notifyPath = process.env['NOTIFY_SOCKET'];
// Node has marked the journal's, too.
for (const standard of [0, 1, 2]) keepOnExec(standard);
renumber([...descriptors, ...(notifyPath === undefined ? [] : [connectToManager(notifyPath)])], channelFd);
replaceProgram(launch.argv, launch.environment);

function connectTo(path: string): number {
  const socket = createSocket(addressFamily.unix, socketType.stream);
  const address = unixAddress(path);
  if (connect(socket, address, address.length) === 0) return socket;
  process.stderr.write(`${path} does not answer. "systemctl start soulbox" starts the server.\n`);
  return end();
}

/** Waits until the supervisor wants this part. The descriptors arrive with the first bytes. */
function receiveLaunch(socket: number): { readonly launch: UnitLaunch; readonly descriptors: readonly number[] } {
  const limits = { maxBytes: unitMessageMax.bytes, maxDescriptors: unitMessageMax.descriptors };
  const descriptors: number[] = [];
  let text = '';
  while (!text.endsWith('\n')) {
    const received = receiveMessage(socket, limits, 0);
    if (received === undefined) throw new SystemCallError('recvmsg', lastErrno());
    if (received.bytes.length === 0) return end();
    descriptors.push(...received.descriptors);
    text += received.bytes.toString('utf8');
  }
  return { launch: JSON.parse(text) as UnitLaunch, descriptors };
}

/** There is no supervisor. The next one starts the unit. */
function end(): never {
  // oxlint-disable-next-line no-restricted-properties -- it is the main program of a process
  process.exit(stoppedUnitCode);
}

function connectToManager(path: string): number {
  const socket = createSocket(addressFamily.unix, socketType.datagrams);
  // A name that begins with "@" is in the abstract namespace, where a NUL takes its place.
  const address = unixAddress(path.replace(/^@/, '\0'));
  const length = path.startsWith('@') ? 2 + Buffer.byteLength(path) : address.length;
  check('connect', connect(socket, address, length));
  return socket;
}
