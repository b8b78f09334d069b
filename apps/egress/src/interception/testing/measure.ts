// Measures what interception costs beside a direct connection to the same host, in turns, on loopback: `node measure.ts`.
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { hostName, openWorld } from './intercepted-world.ts';

const rounds = 5;
const mib = 256;
let hostPort = 0;
await using world = await openWorld({
  answer(request, response) {
    request.resume();
    request.once('end', () => response.end('ok'));
  },
  onServer: (server) => void server.once('listening', () => (hostPort = (server.address() as { port: number }).port)),
});
const medianOf = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;

/** CPU of the last upload, client and host included. Seconds per GiB. */
const cpuSeconds = new Map<number, number>();

async function open(port: number): Promise<TLSSocket> {
  // What is measured is the proxy; each side has a CA of its own.
  const socket = connect({
    host: '127.0.0.1',
    port,
    servername: hostName,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.3',
  });
  await once(socket, 'secureConnect');
  return socket;
}

/** Milliseconds until the answer to the first request of a new connection. */
async function connectTime(port: number): Promise<number> {
  const times: number[] = [];
  for (let count = 0; count < 60; count += 1) {
    const started = performance.now();
    const socket = await open(port);
    socket.write(`GET / HTTP/1.1\r\nHost: ${hostName}\r\n\r\n`);
    await once(socket, 'data');
    times.push(performance.now() - started);
    socket.destroy();
  }
  return medianOf(times);
}

/** MiB per second of one request body. */
async function upload(port: number): Promise<number> {
  const socket = await open(port);
  const headers = { host: hostName, 'content-length': mib * 2 ** 20 };
  const request = httpsRequest({ createConnection: () => socket, method: 'POST', headers });
  const block = Buffer.alloc(2 ** 20);
  const [started, cpu] = [performance.now(), process.cpuUsage()];
  const answered = once(request, 'response');
  for (let sent = 0; sent < mib; sent += 1) if (!request.write(block)) await once(request, 'drain');
  request.end();
  const [response] = (await answered) as [IncomingMessage];
  socket.destroy();
  if (response.statusCode !== 200) throw new Error(`the answer is ${response.statusCode ?? 0}`);
  const { user, system } = process.cpuUsage(cpu);
  cpuSeconds.set(port, (user + system) / 1e6 / (mib / 1024));
  return mib / ((performance.now() - started) / 1000);
}

async function compare(name: string, unit: string, measure: (port: number) => Promise<number>): Promise<void> {
  const [direct, intercepted]: [number[], number[]] = [[], []];
  for (let round = 0; round <= rounds; round += 1) {
    const pair = [await measure(hostPort), await measure(world.port)] as const;
    // The first round warms up.
    if (round > 0) direct.push(pair[0]);
    if (round > 0) intercepted.push(pair[1]);
  }
  const [a, b] = [medianOf(direct), medianOf(intercepted)];
  const difference = unit === 'ms' ? `${(b - a).toFixed(2)} ms more` : `${((b / a) * 100).toFixed(0)} %`;
  process.stdout.write(`${name}: ${a.toFixed(2)} direct, ${b.toFixed(2)} intercepted (${unit}; ${difference})\n`);
}

await compare('new connection until the first answer', 'ms', connectTime);
await compare('upload', 'MiB/s', upload);
const [directCpu = NaN, interceptedCpu = NaN] = [hostPort, world.port].map((port) => cpuSeconds.get(port));
process.stdout.write(
  `CPU of client, host and proxy: ${directCpu.toFixed(2)} and ${interceptedCpu.toFixed(2)} s per GiB\n`,
);
