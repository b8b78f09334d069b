import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect, isIP } from 'node:net';
import { decode, encode, RECURSION_DESIRED } from 'dns-packet';
import type { DecodedPacket, RecordType } from 'dns-packet';
import { payloadBytes } from './question.ts';

/** How long one server has. Milliseconds. */
const tryMs = 1500;
/** Attempts together, over all servers. */
const triesMax = 3;
/** Maximum bytes of a response over TCP. Real ones have less than 4 KiB. */
const responseMaxBytes = 16 * 1024;
/** Maximum datagrams that are read for one question. Only a forger sends more. */
const datagramsMax = 32;

/** A DNS server of the operator. */
export interface NameServer {
  readonly address: string;
  readonly port: number;
}

/** Parses `ADDRESS`, `ADDRESS:PORT` or `[IPV6]:PORT`. Throws for anything else. */
export function parseNameServer(text: string): NameServer {
  const [, bracketed, plain, port = '53'] = /^(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::([0-9]{1,5}))?$/.exec(text) ?? [];
  const address = isIP(text) === 0 ? (bracketed ?? plain ?? '') : text;
  if (isIP(address) === 0) throw new Error(`"${text}" is not the address of a name server`);
  return { address, port: isIP(text) === 0 ? Number(port) : 53 };
}

/** A response of a name server. The types of dns-packet leave the code out. */
export type UpstreamResponse = DecodedPacket & { readonly rcode: string };

/** Asks the operator's name servers. Returns undefined if none responds usefully. */
export type AskUpstream = (name: string, type: string, signal: AbortSignal) => Promise<UpstreamResponse | undefined>;

export function createUpstream(servers: readonly NameServer[], timeoutMs = tryMs): AskUpstream {
  /** The server that responded last is asked first. */
  let preferred = 0;
  return async (name, type, signal) => {
    let fallback: UpstreamResponse | undefined;
    for (let attempt = 0; attempt < Math.max(triesMax, servers.length) && !signal.aborted; attempt += 1) {
      const index = (preferred + (attempt % servers.length)) % servers.length;
      const server = servers[index];
      if (server === undefined) return undefined;
      const response = await ask(server, name, type, AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]));
      if (response === undefined) continue;
      if (response.rcode === 'NOERROR' || response.rcode === 'NXDOMAIN') {
        preferred = index;
        return response;
      }
      // Another server may know more.
      fallback = response;
      if (attempt + 1 >= servers.length) break;
    }
    return fallback;
  };
}

async function ask(
  server: NameServer,
  name: string,
  type: string,
  signal: AbortSignal,
): Promise<UpstreamResponse | undefined> {
  // A forger must guess the id and, because each question has a socket of its own, the port.
  const id = randomInt(0x10000);
  const query = encode({
    type: 'query',
    id,
    flags: RECURSION_DESIRED,
    questions: [{ name, type: type as RecordType }],
    additionals: [
      {
        ...{ type: 'OPT', name: '.', udpPayloadSize: payloadBytes, extendedRcode: 0, ednsVersion: 0 },
        ...{ flags: 0, flag_do: false, options: [] },
      },
    ],
  });
  const isOurs = (bytes: Buffer): UpstreamResponse | undefined => readResponse(bytes, id, name, type);
  const response = await askByUdp(server, query, isOurs, signal);
  return response?.flag_tc === true ? await askByTcp(server, query, isOurs, signal) : response;
}

type Reader = (bytes: Buffer) => UpstreamResponse | undefined;

/** Undefined for everything but a response to exactly this question. */
function readResponse(bytes: Buffer, id: number, name: string, type: string): UpstreamResponse | undefined {
  if (bytes.length < 12 || bytes.readUInt16BE(0) !== id || (bytes.readUInt16BE(2) & 0x8000) === 0) return undefined;
  try {
    const message = decode(bytes) as UpstreamResponse;
    const [question] = message.questions ?? [];
    const isAnswer = question?.type === type && question.name.toLowerCase() === name && message.questions?.length === 1;
    return isAnswer ? message : undefined;
  } catch {
    return undefined;
  }
}

async function askByUdp(
  server: NameServer,
  query: Buffer,
  read: Reader,
  signal: AbortSignal,
): Promise<UpstreamResponse | undefined> {
  if (signal.aborted) return undefined;
  const socket = createSocket(isIP(server.address) === 6 ? 'udp6' : 'udp4');
  return await new Promise((resolve) => {
    let datagrams = 0;
    const finish = (response: UpstreamResponse | undefined): void => {
      signal.removeEventListener('abort', onAbort);
      socket.removeAllListeners('message').close();
      resolve(response);
    };
    const onAbort = (): void => finish(undefined);
    signal.addEventListener('abort', onAbort, { once: true });
    // A closed port, or no route.
    socket.once('error', () => finish(undefined));
    // Connected: the kernel drops datagrams of other senders.
    socket.connect(server.port, server.address, () => socket.send(query));
    socket.on('message', (bytes) => {
      datagrams += 1;
      const response = read(bytes);
      if (response !== undefined || datagrams >= datagramsMax) finish(response);
    });
  });
}

async function askByTcp(
  server: NameServer,
  query: Buffer,
  read: Reader,
  signal: AbortSignal,
): Promise<UpstreamResponse | undefined> {
  if (signal.aborted) return undefined;
  const socket = connect({ host: server.address, port: server.port });
  return await new Promise((resolve) => {
    let received = Buffer.alloc(0);
    const finish = (response: UpstreamResponse | undefined): void => {
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      resolve(response);
    };
    const onAbort = (): void => finish(undefined);
    signal.addEventListener('abort', onAbort, { once: true });
    socket.on('error', () => finish(undefined)).on('end', () => finish(undefined));
    const length = Buffer.alloc(2);
    length.writeUInt16BE(query.length);
    socket.write(Buffer.concat([length, query]));
    socket.on('data', (bytes) => {
      received = Buffer.concat([received, bytes]);
      if (received.length < 2) return;
      const wanted = received.readUInt16BE(0);
      if (wanted > responseMaxBytes) finish(undefined);
      else if (received.length >= 2 + wanted) finish(read(received.subarray(2, 2 + wanted)));
    });
  });
}
