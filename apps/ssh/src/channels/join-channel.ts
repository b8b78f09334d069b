import type { Duplex } from 'node:stream';
import { once } from 'node:events';
import type { ServerChannel } from 'ssh2';
import type { Outlet } from '../outlet.ts';
import { createChannelOutput } from './channel-output.ts';
import { readChannel } from './read-channel.ts';

/** Copies in both directions at the pace of the slower side. Resolves when the client has closed the channel. */
export async function joinChannel(channel: ServerChannel, service: Duplex, outlet: Outlet): Promise<void> {
  const output = createChannelOutput(channel, outlet);
  const gone = new Promise<void>((resolve) => service.once('close', resolve));
  const send = async (): Promise<void> => {
    const isEnded = await readChannel(channel, async (bytes) => {
      if (service.destroyed || service.write(bytes)) return;
      await Promise.race([once(service, 'drain'), gone]).catch(() => undefined);
    });
    if (isEnded) service.end();
    else service.destroy();
  };
  const receive = async (): Promise<void> => {
    try {
      for await (const bytes of service.iterator({ destroyOnReturn: false })) {
        await output.write('stdout', bytes as Buffer);
        if (output.isClosed()) break;
      }
    } catch {
      // It broke; the client sees the end.
    }
    if (!output.isClosed()) channel.eof();
  };
  void output.closed.then(() => service.destroy());
  const receiving = receive();
  await Promise.race([send(), gone.then(async () => await receiving)]);
  await receiving;
  await Promise.race([gone, output.closed]);
  if (!output.isClosed()) channel.end();
  service.destroy();
  // Until then, the library keeps the channel.
  await output.closed;
}
