import { expect, it } from 'vitest';
import { rawProtocol } from '../testing/raw-client.ts';
import { openPair, roomy } from '../testing/session-pair.ts';
import { createChannelOutput } from './channel-output.ts';

it('writes everything once when first the output and then the errors have waited for the window', async () => {
  await using pair = await openPair(10);
  const seen = { stdout: '', stderr: '' };
  pair.channel.on('data', (bytes: Buffer) => (seen.stdout += String(bytes)));
  pair.channel.stderr.on('data', (bytes: Buffer) => (seen.stderr += String(bytes)));
  const output = createChannelOutput(pair.server, roomy);
  const first = output.write('stdout', Buffer.alloc(20, 'a'));
  await expect.poll(() => seen.stdout).toHaveLength(10);
  rawProtocol(pair.client).channelWindowAdjust(pair.id, 10);
  await first;
  const second = output.write('stderr', Buffer.alloc(5, 'b'));
  rawProtocol(pair.client).channelWindowAdjust(pair.id, 100);
  await second;
  await output.write('stdout', Buffer.from('end'));
  await expect.poll(() => seen).toEqual({ stdout: `${'a'.repeat(20)}end`, stderr: 'bbbbb' });
});
