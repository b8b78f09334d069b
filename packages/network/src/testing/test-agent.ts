// A separate program that runs in a namespace of a test. It executes the JSON lines on its standard input and answers
// each one.
import { createSocket } from 'node:dgram';
import type { Socket as UdpSocket } from 'node:dgram';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';

/** The commands of the agent. Every answer is one string. */
export type AgentCommand =
  /** Sends the peer's address, then echoes. `sink` counts bytes and answers with the count at the end of the stream. */
  | { op: 'listen'; host: string; port: number; sink?: boolean; backlog?: number }
  | { op: 'listenUdp'; host: string; port: number }
  /** Answers `open SEEN-ADDRESS`, the error's code, or `timeout`. */
  | { op: 'connect'; host: string; port: number; localAddress?: string; timeoutMs?: number }
  /** Answers the echo, the error's code, or `timeout`. */
  | {
      op: 'sendUdp';
      host: string;
      port: number;
      localAddress?: string;
      timeoutMs?: number;
      /** Connects the socket like a resolver does: only connected sockets are notified of ICMP errors. */
      isConnected?: boolean;
    }
  | { op: 'upload'; host: string; port: number; bytes: number }
  /** Keeps a connection open under a name. */
  | { op: 'hold'; name: string; host: string; port: number }
  /**
   * Sends one echo over the held connection. Answers `alive`, `closed`, `timeout`, or the code of the error that ended
   * it.
   */
  | { op: 'ping'; name: string; timeoutMs?: number }
  /** Opens `count` connections, keeps them, and answers how many succeeded. */
  | { op: 'flood'; host: string; port: number; count: number }
  /** Sends datagrams as fast as it can, for some time. Answers how many. */
  | { op: 'floodUdp'; host: string; port: number; ms: number }
  /** One round trip after the other, each with a socket of its own. Answers the median and the longest in milliseconds, or `lost`. */
  | { op: 'timesUdp'; host: string; port: number; count: number }
  /** Round trips from one port, as `sendUdp`. The socket stays open under a name. */
  | { op: 'askUdp'; name: string; host: string; port: number; timeoutMs?: number }
  /** Opens and closes `count` connections, `lanes` at a time (default 50), and answers how many succeeded. */
  | { op: 'churn'; host: string; port: number; count: number; lanes?: number };

const held = new Map<string, Socket>();

async function listen(command: Extract<AgentCommand, { op: 'listen' }>): Promise<string> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    let count = 0;
    socket.on('error', () => undefined);
    if (command.sink === true) {
      socket.on('data', (data) => (count += data.length));
      socket.on('end', () => socket.end(String(count)));
    } else {
      socket.write(`${socket.remoteAddress ?? ''}\n`);
      socket.pipe(socket);
    }
  });
  const { host, port, backlog = 511 } = command;
  return await new Promise((resolve) => {
    server.once('error', (error) => resolve(codeOf(error)));
    server.listen({ host, port, backlog, ipv6Only: true }, () => resolve('ok'));
  });
}

async function listenUdp(command: { host: string; port: number }): Promise<string> {
  const socket = createSocket('udp4');
  socket.on('message', (message, from) => socket.send(message, from.port, from.address));
  return await new Promise((resolve) => socket.bind(command.port, command.host, () => resolve('ok')));
}

async function open(
  command: { host: string; port: number; localAddress?: string; timeoutMs?: number },
  keepAs?: string,
): Promise<string> {
  const { host, port, localAddress, timeoutMs = 700 } = command;
  return await new Promise((resolve) => {
    const socket = connect({ host, port, ...(localAddress === undefined ? {} : { localAddress }) });
    const finish = (answer: string): void => {
      clearTimeout(timer);
      if (keepAs === undefined) socket.destroy();
      else held.set(keepAs, socket);
      resolve(answer);
    };
    const timer = setTimeout(() => finish('timeout'), timeoutMs);
    socket.on('error', (error) => finish(codeOf(error)));
    socket.once('data', (data) => finish(`open ${data.toString().trim()}`));
  });
}

async function sendUdp(command: Extract<AgentCommand, { op: 'sendUdp' }>): Promise<string> {
  const socket = createSocket('udp4');
  return await new Promise((resolve) => {
    const finish = (answer: string): void => {
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    const timer = setTimeout(() => finish('timeout'), command.timeoutMs ?? 700);
    socket.once('error', (error) => finish(codeOf(error)));
    socket.once('message', (message) => finish(message.toString()));
    socket.bind(0, command.localAddress, () => {
      if (command.isConnected === true) {
        socket.connect(command.port, command.host, () => socket.send('echo'));
        return;
      }
      socket.setBroadcast(true);
      socket.send('echo', command.port, command.host);
    });
  });
}

async function upload(command: Extract<AgentCommand, { op: 'upload' }>): Promise<string> {
  return await new Promise((resolve) => {
    const socket = connect({ host: command.host, port: command.port });
    const block = Buffer.alloc(1024 * 1024, 'soulbox');
    let left = command.bytes;
    let answer = '';
    const push = (): void => {
      while (left > 0) {
        const part = block.subarray(0, Math.min(left, block.length));
        left -= part.length;
        if (!socket.write(part)) return;
      }
      socket.end();
    };
    socket.on('connect', push).on('drain', push);
    socket.on('error', (error) => resolve(codeOf(error)));
    socket.on('data', (data) => (answer += data.toString()));
    socket.on('end', () => resolve(answer));
  });
}

async function ping(command: Extract<AgentCommand, { op: 'ping' }>): Promise<string> {
  const socket = held.get(command.name);
  if (socket === undefined) return 'unknown';
  // The kernel may have sent something before this, such as a late acknowledgement. Then the refusal has already
  // arrived.
  if (socket.destroyed) return socket.errored === null ? 'closed' : codeOf(socket.errored);
  return await new Promise((resolve) => {
    const finish = (answer: string): void => {
      clearTimeout(timer);
      resolve(answer);
    };
    const timer = setTimeout(() => finish('timeout'), command.timeoutMs ?? 700);
    socket.once('error', (error) => finish(codeOf(error)));
    socket.once('close', () => finish('closed'));
    socket.once('data', () => finish('alive'));
    socket.write('ping');
  });
}

async function flood(command: Extract<AgentCommand, { op: 'flood' }>): Promise<string> {
  const answers = await Promise.all(
    Array.from({ length: command.count }, async (_, index) => await open(command, `flood-${index}`)),
  );
  return String(answers.filter((answer) => answer.startsWith('open')).length);
}

async function floodUdp({ host, port, ms }: Extract<AgentCommand, { op: 'floodUdp' }>): Promise<string> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.connect(port, host, resolve));
  socket.on('error', () => undefined);
  let sent = 0;
  for (const end = performance.now() + ms; performance.now() < end;) {
    await Promise.all(
      Array.from(
        { length: 200 },
        async () => await new Promise<void>((resolve) => socket.send('flood', () => resolve())),
      ),
    );
    sent += 200;
  }
  socket.close();
  return String(sent);
}

async function timesUdp({ host, port, count }: Extract<AgentCommand, { op: 'timesUdp' }>): Promise<string> {
  const times: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const startedAt = performance.now();
    const answer = await sendUdp({ op: 'sendUdp', host, port, timeoutMs: 2000 });
    if (answer !== 'echo') return `lost: ${answer}`;
    times.push(performance.now() - startedAt);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  times.sort((a, b) => a - b);
  return `${times[Math.floor(count / 2)] ?? NaN} ${times.at(-1) ?? NaN}`;
}

const asking = new Map<string, UdpSocket>();

async function askUdp(command: Extract<AgentCommand, { op: 'askUdp' }>): Promise<string> {
  const socket = asking.get(command.name) ?? createSocket('udp4').on('error', () => undefined);
  asking.set(command.name, socket);
  return await new Promise((resolve) => {
    const finish = (answer: string): void => {
      clearTimeout(timer);
      socket.removeAllListeners('message');
      resolve(answer);
    };
    const timer = setTimeout(() => finish('timeout'), command.timeoutMs ?? 700);
    socket.once('message', (message) => finish(message.toString()));
    socket.send('echo', command.port, command.host);
  });
}

async function churn(command: Extract<AgentCommand, { op: 'churn' }>): Promise<string> {
  let [left, opened] = [command.count, 0];
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      if ((await open({ ...command, timeoutMs: 5000 })).startsWith('open')) opened += 1;
    }
  };
  await Promise.all(Array.from({ length: command.lanes ?? 50 }, worker));
  return String(opened);
}

async function perform(command: AgentCommand): Promise<string> {
  switch (command.op) {
    case 'listen':
      return await listen(command);
    case 'listenUdp':
      return await listenUdp(command);
    case 'connect':
      return await open(command);
    case 'hold':
      return await open(command, command.name);
    case 'sendUdp':
      return await sendUdp(command);
    case 'upload':
      return await upload(command);
    case 'ping':
      return await ping(command);
    case 'flood':
      return await flood(command);
    case 'floodUdp':
      return await floodUdp(command);
    case 'timesUdp':
      return await timesUdp(command);
    case 'askUdp':
      return await askUdp(command);
    case 'churn':
      return await churn(command);
  }
}

function codeOf(error: Error): string {
  return (error as NodeJS.ErrnoException).code ?? error.message;
}

const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const { id, command } = JSON.parse(line) as { id: number; command: AgentCommand };
  void perform(command).then((answer) => process.stdout.write(`${JSON.stringify({ id, answer })}\n`));
});
lines.on('close', () => process.kill(process.pid, 'SIGKILL'));
