import { keepOnExec } from '@soulbox/linux/descriptors';
import { filterSystemCalls } from '@soulbox/linux/processes';
import { channelFd } from './messages.ts';
import { buildIoUringFilter } from './system-call-filter.ts';

// Becomes the program that is its argument, in which io_uring does not exist. libuv opens a ring as soon as Node starts, and every
// operation by a ring passes by the filter of system calls that the program gives itself later.
// The channel to the supervisor and what it handed over, without a gap.
for (let fd = channelFd; keepOnExec(fd); fd += 1);
filterSystemCalls(buildIoUringFilter(), { allThreads: false });
const [, , program = '', ...rest] = process.argv;
// eslint-disable-next-line no-restricted-properties -- passed on as it is, not read
process.execve?.(process.execPath, [process.execPath, ...process.execArgv, program, ...rest], process.env);
