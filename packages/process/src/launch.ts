import { keepOnExec } from '@soulbox/linux/descriptors';
import { filterSystemCalls } from '@soulbox/linux/processes';
import { channelFd } from './messages.ts';
import { buildIoUringFilter } from './system-call-filter.ts';

// Executes the program in its argument, without io_uring. libuv opens a ring as soon as Node starts, and every
// operation on a ring bypasses the system call filter that the program installs later.
// The loop keeps open the channel to the supervisor and the descriptors it handed over, which have consecutive numbers.
for (let fd = channelFd; keepOnExec(fd); fd += 1);
filterSystemCalls(buildIoUringFilter(), { allThreads: false });
const [, , program = '', ...rest] = process.argv;
// eslint-disable-next-line no-restricted-properties -- passed on as it is, not read
process.execve?.(process.execPath, [process.execPath, ...process.execArgv, program, ...rest], process.env);
