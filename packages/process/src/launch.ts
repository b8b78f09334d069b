import { keepOnExec } from '@soulbox/linux/descriptors';
import { filterSystemCalls } from '@soulbox/linux/processes';
import { buildIoUringFilter } from './system-call-filter.ts';

/** Of the channel between parent and child, which `startPartProcess` puts there; other descriptors follow it without a gap. */
const channelFd = 3;

// Becomes the program that is its argument, in which io_uring does not exist. libuv opens a ring as soon as Node starts, and every
// operation by a ring passes by the filter of system calls that the program gives itself later.
for (let fd = channelFd; keepOnExec(fd); fd += 1);
filterSystemCalls(buildIoUringFilter(), { allThreads: false });
const [, , program = '', ...rest] = process.argv;
const channel = { NODE_CHANNEL_FD: String(channelFd), NODE_CHANNEL_SERIALIZATION_MODE: 'json' };
// eslint-disable-next-line no-restricted-properties -- passed on as it is, not read
process.execve?.(process.execPath, [process.execPath, program, ...rest], { ...process.env, ...channel });
