import { keepOnExec } from '@soulbox/linux/descriptors';
import { filterSystemCalls } from '@soulbox/linux/processes';
import { channelFd } from './messages.ts';
import { buildIoUringFilter } from './system-call-filter.ts';

// Executes the program in its second argument, without io_uring. libuv opens a ring as soon as Node starts, and every
// operation on a ring bypasses the system call filter that the program installs later. The first argument is the number
// of descriptors that the program inherits: the channel to the supervisor and those after it. No more may stay open,
// because the rings of this process, which is still root, follow them.
const [, , count = '', program = '', ...rest] = process.argv;
for (let fd = channelFd; fd < channelFd + Number(count); fd += 1) keepOnExec(fd);
filterSystemCalls(buildIoUringFilter(), { allThreads: false });
// oxlint-disable-next-line no-restricted-properties -- passed on as it is, not read
process.execve?.(process.execPath, [process.execPath, ...process.execArgv, program, ...rest], process.env);
