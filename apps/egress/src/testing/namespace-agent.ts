// A separate program that runs in a network namespace of a test. It executes the JSON lines on its standard input and
// answers each one.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { decode, encode } from 'dns-packet';

/** The commands of the agent. Every answer is one value of JSON. */
export type NamespaceCommand =
  /** `greet` speaks first, then echoes; `sink` answers the count of bytes at their end; `source` sends as many as asked. */
  | { op: 'serve'; host: string; port: number; kind: 'greet' | 'sink' }
  /** A name server that knows one address for every name. */
  | { op: 'serveDns'; host: string; address: string }
  /** Answers what comes back until the end, or the code of the error. */
  | { op: 'talk'; host: string; port: number; text: string }
  /** Keeps a connection under a name, and answers its first bytes. */
  | { op: 'hold'; name: string; host: string; port: number }
  /** Answers `open`, or the code of the error that has ended the held connection. */
  | { op: 'state'; name: string }
  /** Answers the response code and the addresses. */
  | { op: 'lookup'; host: string; name: string }
  /** Answers MiB per second. */
  | { op: 'upload'; host: string; port: number; mib: number }
  /** Opens connections one after the other until the first byte. Answers the median of milliseconds. */
  | { op: 'connectTimes'; host: string; port: number; count: number }
  /** One round trip after the other on one connection. Answers the median of milliseconds. */
  | { op: 'roundTrips'; host: string; port: number; count: number }
  /** Answers the median of milliseconds. `%` in the name becomes a number. */
  | { op: 'lookupTimes'; host: string; port: number; name: string; count: number }
  /** Opens connections at the same time, waits for a byte on each, and answers how many got one. */
  | { op: 'openMany'; host: string; port: number; count: number };

const held = new Map<string, Socket>();
const median = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;

function serve({ host, port, kind }: Extract<NamespaceCommand, { op: 'serve' }>): Promise<unknown> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on('error', () => undefined);
    let count = 0;
    if (kind === 'sink') {
      socket.on('data', (bytes: Buffer) => (count += bytes.length));
      socket.on('end', () => socket.end(String(count)));
      return;
    }
    socket.write('hello\n');
    socket.pipe(socket);
  });
  server.listen({ host, port, backlog: 4096 });
  return once(server, 'listening').then(() => 'ok');
}

async function serveDns({ host, address }: Extract<NamespaceCommand, { op: 'serveDns' }>): Promise<unknown> {
  const socket = createSocket('udp4');
  socket.on('message', (message, from) => {
    const { id, questions = [] } = decode(message);
    const [question] = questions;
    if (question === undefined || id === undefined) return;
    const answers = [{ type: 'A' as const, name: question.name, data: address, ttl: 60 }];
    socket.send(encode({ type: 'response', id, flags: 0x0180, questions, answers }), from.port, from.address);
  });
  socket.bind(53, host);
  await once(socket, 'listening');
  return 'ok';
}

async function talk({ host, port, text }: Extract<NamespaceCommand, { op: 'talk' }>): Promise<unknown> {
  const socket = connect({ host, port });
  let received = '';
  socket.on('data', (bytes: Buffer) => (received += bytes.toString('latin1')));
  socket.end(text);
  return await new Promise((resolve) => {
    socket.setTimeout(5000, () => resolve('timeout'));
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code));
    socket.on('end', () => resolve(received));
  });
}

async function ask(host: string, port: number, name: string): Promise<ReturnType<typeof decode>> {
  const socket = createSocket('udp4');
  socket.connect(port, host);
  await once(socket, 'connect');
  socket.send(encode({ type: 'query', id: 3, flags: 0x0100, questions: [{ type: 'A', name }] }));
  const [reply] = (await once(socket, 'message', { signal: AbortSignal.timeout(6000) })) as [Buffer];
  socket.close();
  return decode(reply);
}

async function upload({ host, port, mib }: Extract<NamespaceCommand, { op: 'upload' }>): Promise<unknown> {
  const socket = connect({ host, port });
  await once(socket, 'connect');
  const block = Buffer.alloc(2 ** 20);
  const started = performance.now();
  for (let sent = 0; sent < mib; sent += 1) if (!socket.write(block)) await once(socket, 'drain');
  socket.end();
  const [count] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  if (Number(count.toString()) !== mib * 2 ** 20) throw new Error(`${count.toString()} bytes arrived`);
  return mib / ((performance.now() - started) / 1000);
}

async function timed(count: number, work: (index: number) => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const started = performance.now();
    await work(index);
    times.push(performance.now() - started);
  }
  return median(times);
}

async function openMany({ host, port, count }: Extract<NamespaceCommand, { op: 'openMany' }>): Promise<unknown> {
  const outcomes: boolean[] = [];
  const openOne = async (index: number): Promise<void> => {
    const socket = connect({ host, port });
    held.set(`many-${index}`, socket);
    socket.on('error', () => undefined);
    outcomes.push(
      await Promise.race([once(socket, 'data').then(() => true), once(socket, 'close').then(() => false)]).catch(
        () => false,
      ),
    );
  };
  for (let index = 0; index < count; index += 100)
    await Promise.all(Array.from({ length: Math.min(100, count - index) }, (_, more) => openOne(index + more)));
  return outcomes.filter(Boolean).length;
}

async function perform(command: NamespaceCommand): Promise<unknown> {
  switch (command.op) {
    case 'serve':
      return await serve(command);
    case 'serveDns':
      return await serveDns(command);
    case 'talk':
      return await talk(command);
    case 'hold': {
      const socket = connect(command);
      socket.on('error', () => undefined);
      held.set(command.name, socket);
      const [bytes] = (await once(socket, 'data')) as [Buffer];
      return bytes.toString();
    }
    case 'state': {
      const socket = held.get(command.name);
      const error: NodeJS.ErrnoException | null | undefined = socket?.errored;
      return socket?.destroyed === false ? 'open' : (error?.code ?? 'closed');
    }
    case 'lookup': {
      const reply = (await ask(command.host, 53, command.name)) as ReturnType<typeof decode> & { rcode: string };
      return [reply.rcode, ...(reply.answers ?? []).map((record) => (record.type === 'A' ? record.data : ''))].join(
        ' ',
      );
    }
    case 'upload':
      return await upload(command);
    case 'connectTimes':
      return await timed(command.count, async () => {
        const socket = connect(command);
        await once(socket, 'data');
        socket.resetAndDestroy();
      });
    case 'roundTrips': {
      const socket = connect({ ...command, noDelay: true });
      await once(socket, 'data');
      const time = await timed(command.count, async () => {
        socket.write('x');
        await once(socket, 'data');
      });
      socket.destroy();
      return time;
    }
    case 'lookupTimes':
      return await timed(
        command.count,
        async (index) => await ask(command.host, command.port, command.name.replace('%', String(index))),
      );
    case 'openMany':
      return await openMany(command);
  }
}

const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const { id, command } = JSON.parse(line) as { id: number; command: NamespaceCommand };
  perform(command).then(
    (answer) => process.stdout.write(`${JSON.stringify({ id, answer })}\n`),
    (error: unknown) => process.stdout.write(`${JSON.stringify({ id, answer: String(error) })}\n`),
  );
});
lines.on('close', () => process.exit());
