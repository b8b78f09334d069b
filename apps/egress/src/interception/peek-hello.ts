import type { Duplex } from 'node:stream';
import { readHello } from './client-hello.ts';

/** A ClientHello with post-quantum keys has 2 KiB; browsers send less than 16 KiB. */
const helloMaxBytes = 64 * 1024;
const helloTimeoutMs = 10_000;

/**
 * The protocols that the client offers by ALPN. What was read is put back. Empty if the client offers none, or if its
 * first bytes are no ClientHello: then the handshake fails. Undefined if the client ends before, or takes more than 10 s.
 */
export async function peekHello(client: Duplex): Promise<readonly string[] | undefined> {
  let seen: Buffer = Buffer.alloc(0);
  const late = AbortSignal.timeout(helloTimeoutMs);
  for (;;) {
    for (let chunk = read(client); chunk !== null; chunk = read(client)) seen = Buffer.concat([seen, chunk]);
    const hello = readHello(seen);
    if (hello.kind !== 'incomplete' || seen.length > helloMaxBytes) {
      client.unshift(seen);
      return hello.kind === 'hello' ? hello.protocols : [];
    }
    if (late.aborted || client.destroyed || client.readableEnded) return undefined;
    await readable(client, late);
  }
}

const read = (client: Duplex): Buffer | null => client.read() as Buffer | null;

async function readable(client: Duplex, late: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      client.off('readable', done).off('end', done).off('close', done);
      late.removeEventListener('abort', done);
      resolve();
    };
    client.on('readable', done).on('end', done).on('close', done);
    late.addEventListener('abort', done);
  });
}
