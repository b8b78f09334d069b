import { once } from 'node:events';
import type { ServiceImpl } from '@connectrpc/connect';
import type { RunnerService } from '@soulbox/contract/runner';

/** A program that prints one line, and then ends if its code says so. Any other one runs until it is left. */
export function runCalls(): Pick<ServiceImpl<typeof RunnerService>, 'runProgram'> {
  return {
    async *runProgram({ subject }, { signal }) {
      const reasons = ['by the test'];
      yield { event: { case: 'detected', value: { runtime: 'node', language: 'javascript', sureness: 1, reasons } } };
      const line = new TextEncoder().encode('line\n');
      yield { event: { case: 'output', value: { channel: { case: 'stdout', value: line } } } };
      if (subject.value !== 'end') await once(signal, 'abort');
      yield { event: { case: 'done', value: { exitCode: 0, dependencies: 'none', peakMemoryBytes: 0n } } };
    },
  };
}
