import type { Client, ClientChannel } from 'ssh2';

/** What the library's client can send, without what keeps it to the protocol. */
export interface RawProtocol {
  session(channel: number, window: number, packetBytes: number): void;
  directTcpip(channel: number, window: number, packetBytes: number, to: object): void;
  exec(channel: number, command: string, wantReply: boolean): void;
  shell(channel: number, wantReply: boolean): void;
  channelData(channel: number, bytes: Buffer): void;
  channelWindowAdjust(channel: number, bytes: number): void;
  rekey(): void;
  readonly _cipher: { encrypt(packet: Buffer): void };
  readonly _packetRW: {
    readonly write: { allocStart: number; alloc(bytes: number): Buffer; finalize(packet: Buffer): Buffer };
  };
}

interface Inner {
  readonly _protocol: RawProtocol;
  readonly _chanMgr: { add(opened: (error: Error | undefined, channel: ClientChannel) => void): number };
}

const innerOf = (client: Client): Inner => client as unknown as Inner;

export const rawProtocol = (client: Client): RawProtocol => innerOf(client)._protocol;

/** Opens a channel with the given limits. To a port, or for a session. */
export async function openRaw(
  client: Client,
  { window = 1 << 21, packetBytes = 1 << 15, port }: { window?: number; packetBytes?: number; port?: number },
): Promise<{ channel: ClientChannel; id: number }> {
  const { _protocol, _chanMgr } = innerOf(client);
  return await new Promise((resolve, reject) => {
    const opened = (error: Error | undefined, channel: ClientChannel): void => {
      if (error === undefined) resolve({ channel, id: (channel as unknown as Side).outgoing.id });
      else reject(error);
    };
    const local = _chanMgr.add(Object.assign(opened, { type: 'session' }));
    if (port === undefined) _protocol.session(local, window, packetBytes);
    else {
      const to = { dstIP: 'localhost', dstPort: port, srcIP: '127.0.0.1', srcPort: 1 };
      _protocol.directTcpip(local, window, packetBytes, to);
    }
    client.once('close', () => reject(new Error('closed')));
  });
}

interface Side {
  readonly outgoing: { readonly id: number };
}

/** Sends one packet with this payload. */
export function sendRaw(client: Client, payload: Buffer): void {
  const { _cipher, _packetRW } = rawProtocol(client);
  const packet = _packetRW.write.alloc(payload.length);
  packet.set(payload, _packetRW.write.allocStart);
  _cipher.encrypt(_packetRW.write.finalize(packet));
}
