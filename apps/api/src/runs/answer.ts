import type { RunProgramResponse } from '@soulbox/contract/runner';
import { SoulBoxError } from '@soulbox/base';
import { createDecoder, endedFrom } from './follow.ts';
import type { Run, RunDetected, RunResult } from './schemas.ts';

/** Collects the whole run into one response. */
export async function collect(
  detected: RunDetected,
  messages: AsyncIterable<RunProgramResponse>,
  encoding: Run['encoding'],
): Promise<RunResult> {
  const output = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  let result: RunResult | undefined;
  // Read to the end, because only then have the run's files in the sandbox been removed.
  for await (const { event } of messages) {
    if (event.case === 'output') {
      const { case: channel, value } = event.value.channel;
      if (channel !== undefined) output[channel].push(value);
    } else if (event.case === 'done') {
      const text = (chunks: readonly Uint8Array[]): string => {
        const decoder = createDecoder(encoding);
        return decoder.decode(Buffer.concat(chunks)) + decoder.end();
      };
      result = { ...detected, ...endedFrom(event.value), stdout: text(output.stdout), stderr: text(output.stderr) };
    }
  }
  if (result === undefined) throw new SoulBoxError('internal', 'A run ended without a result.');
  return result;
}
