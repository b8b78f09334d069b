import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

export interface Relay extends AsyncDisposable {
  readonly port: number;
  /** How replies are passed on from now on: as they come, one byte each so many milliseconds, or changed. */
  use(rule: RelayRule): void;
  /** Ends all connections. */
  cut(): void;
}

export type RelayRule =
  | { readonly kind: 'pass' }
  | { readonly kind: 'drip'; readonly everyMs: number }
  | { readonly kind: 'hang' }
  /** In place of what the server sends. */
  | { readonly kind: 'say'; readonly text: string }
  /** Flips a bit of each long reply, somewhere in its middle. */
  | { readonly kind: 'corrupt' };

/** A relay on TCP between a client and a server of a test, that disturbs what the server sends. */
export async function startRelay(port: number): Promise<Relay> {
  let rule: RelayRule = { kind: 'pass' };
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket
        .on('error', () => undefined)
        .on('close', () => {
          sockets.delete(socket);
          client.destroy();
          upstream.destroy();
        });
    }
    client.pipe(upstream);
    let before: Promise<void> = Promise.resolve();
    upstream.on('data', (bytes: Buffer) => {
      before = before.then(async () => await pass(bytes, client, () => rule));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    use(next) {
      rule = next;
    },
    cut() {
      for (const socket of sockets) socket.destroy();
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function pass(bytes: Buffer, client: Socket, ruleNow: () => RelayRule): Promise<void> {
  const rule = ruleNow();
  if (rule.kind === 'pass') client.write(bytes);
  else if (rule.kind === 'say') client.write(rule.text);
  else if (rule.kind === 'corrupt') {
    const changed = Buffer.from(bytes);
    if (changed.length > 1000) changed[500] = (changed[500] ?? 0) ^ 1;
    client.write(changed);
  } else if (rule.kind === 'drip') {
    for (const byte of bytes) {
      if (client.destroyed) return;
      client.write(Buffer.of(byte));
      await new Promise((resolve) => setTimeout(resolve, rule.everyMs));
    }
  }
}
