import { randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';

// Listens on loopback in the sandbox for an SSH client (`ssh -R`), as the tenant's user. The argument is the port, or 0 for
// any. Prints `DOOR PORT TOKEN` when it listens, and ends with status 3 if it cannot. The SSH process dials the door, another
// port. The first line that it sends there says what for:
//   `TOKEN`     the control connection. It is answered with a line `ready`. A line `ID ADDRESS PORT` announces each client, and a line `ID` refuses it. The
//               listener ends with this connection. So it never outlives a pause, a fork or its SSH client.
//   `TOKEN ID`  the connection of that client, whose bytes follow.
// Clients are refused until there is a control connection.

const backlog = 64;
/** Clients that the SSH client has not accepted. Further ones are refused. */
const waitingMax = 64;
const waitMs = 30_000;
/** Connections to the door that have not shown the token. */
const strangersMax = 64;
const strangerMs = 10_000;
const lineMaxBytes = 128;

const token = randomBytes(16).toString('hex');
const waiting = new Map<string, { readonly client: Socket; readonly leave: () => void }>();
const servers: Server[] = [];
let strangers = 0;
let lastId = 0;
let control: Socket | undefined;

const reset = (socket: Socket): void => void socket.resetAndDestroy();

function announce(client: Socket): void {
  client.on('error', () => undefined);
  if (control === undefined || waiting.size >= waitingMax) {
    reset(client);
    return;
  }
  const id = String((lastId += 1));
  const timer = setTimeout(() => refuse(id), waitMs);
  const leave = (): void => {
    clearTimeout(timer);
    client.off('close', leave);
    waiting.delete(id);
  };
  client.once('close', leave);
  waiting.set(id, { client, leave });
  control.write(`${id} ${client.remoteAddress ?? '127.0.0.1'} ${String(client.remotePort ?? 0)}\n`);
}

function refuse(id: string): void {
  const found = waiting.get(id);
  if (found !== undefined) reset(found.client);
}

function join(host: Socket, id: string, first: Buffer): void {
  const found = waiting.get(id);
  if (found === undefined) {
    host.destroy();
    return;
  }
  const { client, leave } = found;
  leave();
  for (const [one, other] of [
    [host, client],
    [client, host],
  ] as const) {
    one.pipe(other);
    one.once('close', () => {
      if (!one.readableEnded) reset(other);
    });
  }
  if (first.length > 0) client.write(first);
}

function obey(host: Socket, first: Buffer): void {
  if (control !== undefined) {
    host.destroy();
    return;
  }
  control = host;
  host.write('ready\n');
  let text = first.toString('latin1');
  host.on('data', (bytes: Buffer) => {
    const lines = (text + bytes.toString('latin1')).split('\n');
    text = lines.pop() ?? '';
    for (const id of lines) refuse(id);
  });
  host.once('end', () => host.destroy());
  host.once('close', end);
}

/** Connections that are in use go on, and keep the process running. */
function end(): void {
  for (const server of servers) server.close();
  for (const { client } of waiting.values()) reset(client);
}

function admit(host: Socket): void {
  host.on('error', () => undefined);
  if (strangers >= strangersMax) {
    host.destroy();
    return;
  }
  strangers += 1;
  const timer = setTimeout(() => host.destroy(), strangerMs);
  let head = Buffer.alloc(0);
  const leave = (): void => {
    clearTimeout(timer);
    strangers -= 1;
    host.off('data', read).off('close', leave);
  };
  const read = (bytes: Buffer): void => {
    head = Buffer.concat([head, bytes]);
    const at = head.subarray(0, lineMaxBytes).indexOf('\n');
    if (at === -1 && head.length < lineMaxBytes) return;
    leave();
    host.pause();
    const [shown, id, ...more] = head.subarray(0, Math.max(at, 0)).toString('latin1').split(' ');
    if (shown !== token || more.length > 0) host.destroy();
    else if (id === undefined) obey(host, head.subarray(at + 1));
    else join(host, id, head.subarray(at + 1));
    host.resume();
  };
  host.on('data', read).once('close', leave);
}

async function listen(server: Server, host: string, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, backlog }, resolve);
  });
  servers.push(server);
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

try {
  const wanted = Number(process.argv.at(-1));
  const port = await listen(createServer({ allowHalfOpen: true }, announce), '127.0.0.1', wanted);
  // A sandbox may have no IPv6, or another program there.
  await listen(createServer({ allowHalfOpen: true }, announce), '::1', port).catch(() => undefined);
  const door = await listen(createServer({ allowHalfOpen: true }, admit), '127.0.0.1', 0);
  process.stdout.write(`${String(door)} ${String(port)} ${token}\n`);
  setTimeout(() => {
    if (control === undefined) end();
  }, waitMs).unref();
} catch {
  process.exitCode = 3;
  end();
}
