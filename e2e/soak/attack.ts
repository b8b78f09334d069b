import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { createRandom } from '../chaos/random.ts';
import type { Random } from '../chaos/random.ts';
import { hostilePorts } from './hostile-ports.ts';

// The hostile clients of a soak, in a separate process. Started by worker.ts.
const { port, sandboxId, apiKey, connections, seed } = JSON.parse(process.argv[2] ?? '') as {
  port: number;
  sandboxId: string;
  apiKey: string;
  connections: number;
  seed: number;
};

const key = `X-API-Key: ${apiKey}\r\n`;
const toApi = (path: string, more = ''): string => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${more}\r\n`;
const toPort = (name: keyof typeof hostilePorts, more = ''): string =>
  `GET / HTTP/1.1\r\nHost: localhost\r\nE2b-Sandbox-Id: ${sandboxId}\r\nE2b-Sandbox-Port: ${hostilePorts[name]}\r\n${more}\r\n`;

/** Sends, and reads nothing of the response. */
const unread = (request: string) => (socket: Socket) => void socket.pause().write(request);

/** Reads the response slowly, 64 KiB at a time. */
const slowly = (request: string) => (socket: Socket) => {
  socket.write(request);
  socket.on('data', () => {
    socket.pause();
    setTimeout(() => socket.resume(), 500);
  });
};

const behaviors: readonly ((socket: Socket, random: Random) => void)[] = [
  // Slow: a head byte by byte.
  (socket) => {
    const text = toApi('/health', key);
    let at = 0;
    const timer = setInterval(() => socket.write(text[at++ % text.length] ?? ''), 1000);
    socket.once('close', () => clearInterval(timer));
  },
  // Silent.
  () => undefined,
  // Endless, from inside the sandbox.
  slowly(toPort('interim')),
  unread(toPort('interim', 'Expect: 100-continue\r\nContent-Length: 5\r\n')),
  slowly(toPort('body')),
  slowly(toPort('trailers')),
  slowly(toPort('head')),
  unread(toPort('silent')),
  // An endless body to the API, and to a port that does not read.
  (socket) => {
    socket.write('POST /sandboxes HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n');
    const timer = setInterval(() => socket.write(Buffer.alloc(16 * 1024)), 200);
    socket.once('close', () => clearInterval(timer)).resume();
  },
  // Unread.
  unread(toPort('body')),
  unread(toApi('/events/sandboxes?limit=100', key)),
  unread(toApi('/sandboxes', key)),
  // Pipelined.
  unread(toApi('/openapi.json').repeat(1600)),
  (socket) => void socket.resume().write(toApi('/health').repeat(30)),
  (socket) => void socket.write(toApi('/health') + toApi('/', 'Connection: Upgrade\r\nUpgrade: websocket\r\n')),
  // Reset in the middle.
  (socket, random) => {
    socket.write(toApi('/v2/sandboxes', key));
    setTimeout(() => socket.resetAndDestroy(), random.between(0, 100));
  },
  // Forged signatures and invalid keys.
  (socket) => void socket.resume().write(toApi(`/files?path=${'a'.repeat(30_000)}&signature=x`)),
  (socket) => void socket.resume().write(toApi(`/files?path=a&signature=v1_${'A'.repeat(43)}`)),
  (socket) => void socket.resume().write(toApi('/v2/sandboxes', 'X-API-Key: e2b_0000\r\n')),
  // Bytes that are not HTTP.
  (socket) => void socket.write(Buffer.alloc(64 * 1024, 7)),
];

/** One attack after another in the same slot, until the process ends. */
function attack(place: number): void {
  const random = createRandom(seed + place);
  const behave = behaviors[place % behaviors.length];
  const begin = (): void => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.on('error', () => undefined);
    socket.once('connect', () => behave?.(socket, random));
    socket.once('close', () => setTimeout(begin, random.between(200, 1000)));
  };
  setTimeout(begin, random.between(0, 1000));
}

/** A session of HTTP/2 whose streams nobody reads. */
function attackByStreams(): void {
  const session = connectHttp2(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: 0 } });
  session.on('error', () => undefined);
  for (let n = 0; n < 50; n++) {
    const stream = session.request({ ':path': '/events/sandboxes?limit=100', 'x-api-key': apiKey });
    stream.on('error', () => undefined);
  }
  session.once('close', () => setTimeout(attackByStreams, 1000));
}

for (let place = 0; place < connections; place++) attack(place);
// None without attackers, which shows the behavior of the server alone.
for (let n = 0; n < Math.min(3, connections); n++) attackByStreams();
process.once('disconnect', () => process.exit(0));
