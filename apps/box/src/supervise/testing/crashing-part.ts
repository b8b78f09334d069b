import { writeSync } from 'node:fs';
import { channelFd, runPart } from '@soulbox/process';

// A part for keep-part.test.ts: it does what its settings say.
// oxlint-disable-next-line no-restricted-properties -- it is the main program of a process
process.exit(
  await runPart({
    part: 'crashing',
    start: async ({ crashAfterMs, failure, isEndless, busyMs, wantsStandby }, _logger, supervisor) => {
      if (typeof failure === 'string') throw new Error(failure);
      if (typeof crashAfterMs === 'number') setTimeout(() => process.kill(process.pid, 'SIGKILL'), crashAfterMs);
      if (isEndless === true) setTimeout(writeEndlessly, 10);
      if (typeof busyMs === 'number') setTimeout(() => stayBusy(busyMs), 10);
      if (typeof wantsStandby === 'boolean') supervisor.standby(wantsStandby);
      return await Promise.resolve({
        figures: () => ({ heapUsedBytes: 7, loopLag: { p50: 0, p99: 0, max: 0 } }),
        facts: { pid: process.pid },
        listeners: {
          echo: (value) => {
            if (value === 'wrong') throw new Error('it was wrong');
          },
        },
        stop: async () => await Promise.resolve(),
      });
    },
  }),
);

/** Blocks everything else in the process. */
function stayBusy(ms: number): void {
  const until = Date.now() + ms;
  while (Date.now() < until);
}

/** As a compromised part might. */
function writeEndlessly(): void {
  try {
    writeSync(channelFd, 'x'.repeat(16 * 1024));
  } catch {
    // Nobody reads at the moment.
  }
  setTimeout(writeEndlessly, 1);
}
