import { runPart } from '@soulbox/process';

// A part for keep-part.test.ts: it does what its settings say.
// eslint-disable-next-line no-restricted-properties -- it is the main program of a process
process.exit(
  await runPart({
    part: 'crashing',
    start: async ({ crashAfterMs, failure }) => {
      if (typeof failure === 'string') throw new Error(failure);
      if (typeof crashAfterMs === 'number') setTimeout(() => process.kill(process.pid, 'SIGKILL'), crashAfterMs);
      return await Promise.resolve({
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
