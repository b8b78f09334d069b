import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { decode, encode } from 'dns-packet';
import type { Answer, DecodedPacket } from 'dns-packet';

export interface StandInAnswer {
  readonly rcode?: number;
  readonly answers?: readonly Answer[];
  readonly additionals?: readonly Answer[];
  readonly isTruncated?: boolean;
}

/** What the stand-in does with a question: a normal answer, messages as they are, or nothing. */
export type StandInBehavior = (
  question: { name: string; type: string },
  query: DecodedPacket,
  over: 'udp' | 'tcp',
) => StandInAnswer | readonly Buffer[] | undefined;

/** A name server that does what a test says. */
export interface DnsStandIn extends AsyncDisposable {
  readonly address: string;
  /** The questions so far, as `TYPE name`. */
  readonly asked: string[];
  behave: StandInBehavior;
}

export async function startDnsStandIn(host = '127.0.0.1', behave: StandInBehavior = () => ({})): Promise<DnsStandIn> {
  // TCP takes the port first: connections of other programs have many ports of TCP, and hardly any program one of UDP.
  const tcp = createServer();
  tcp.listen(0, host);
  await once(tcp, 'listening');
  const { port } = tcp.address() as AddressInfo;
  const udp = createSocket('udp4');
  udp.bind(port, host);
  await once(udp, 'listening');
  const standIn = { address: `${host}:${port}`, asked: [] as string[], behave };
  const repliesTo = (message: Buffer, over: 'udp' | 'tcp'): readonly Buffer[] => {
    const query = decode(message);
    const [question] = query.questions ?? [];
    if (question === undefined) return [];
    standIn.asked.push(`${question.type} ${question.name}`);
    const reply = standIn.behave(question, query, over);
    if (reply === undefined) return [];
    return Array.isArray(reply) ? (reply as readonly Buffer[]) : [standInReply(query, reply as StandInAnswer)];
  };
  udp.on('message', (message, from) => {
    for (const reply of repliesTo(message, 'udp')) udp.send(reply, from.port, from.address);
  });
  tcp.on('connection', (socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      for (const reply of repliesTo(bytes.subarray(2), 'tcp')) {
        const length = Buffer.alloc(2);
        length.writeUInt16BE(reply.length);
        socket.write(Buffer.concat([length, reply]));
      }
    });
  });
  return Object.assign(standIn, {
    async [Symbol.asyncDispose]() {
      udp.close();
      tcp.close();
      await Promise.resolve();
    },
  });
}

export function standInReply(query: DecodedPacket, answer: StandInAnswer): Buffer {
  const { rcode = 0, answers = [], additionals = [], isTruncated = false } = answer;
  return encode({
    type: 'response',
    id: query.id ?? 0,
    flags: 0x0180 | rcode | (isTruncated ? 0x0200 : 0),
    questions: query.questions ?? [],
    answers: [...answers],
    additionals: [...additionals],
  });
}

export const addressRecord = (name: string, data: string, ttl = 60): Answer => ({ type: 'A', name, data, ttl });
