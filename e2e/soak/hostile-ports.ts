import { setTimeout as sleep } from 'node:timers/promises';
import { Sandbox } from 'e2b';

/** Ports of the hostile sandbox. Each one misbehaves in its own way for as long as a client stays. */
export const hostilePorts = { interim: 7001, body: 7002, trailers: 7003, head: 7004, silent: 7005 } as const;

const openMs = 20_000;

const program = `
import socket, threading
chunked = b'HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n'
scripts = {
  ${hostilePorts.interim}: (b'', b'HTTP/1.1 103 Early Hints\\r\\nLink: <a>\\r\\n\\r\\n' * 500),
  ${hostilePorts.body}: (chunked, (b'4000\\r\\n' + b'a' * 16384 + b'\\r\\n') * 4),
  ${hostilePorts.trailers}: (chunked + b'1\\r\\na\\r\\n0\\r\\n', b'X-Trailer: aaaaaaaaaaaaaaaa\\r\\n' * 500),
  ${hostilePorts.head}: (b'HTTP/1.1 200 OK\\r\\n', b'X-Header: aaaaaaaaaaaaaaaa\\r\\n' * 500),
  ${hostilePorts.silent}: (b'', b''),
}
def serve(connection, head, endless):
  try:
    connection.recv(65536)
    connection.sendall(head)
    while endless: connection.sendall(endless)
    connection.recv(65536)
  except OSError: pass
  finally: connection.close()
def listen(port, head, endless):
  server = socket.create_server(('0.0.0.0', port), backlog=256)
  while True: threading.Thread(target=serve, args=(server.accept()[0], head, endless), daemon=True).start()
threads = [threading.Thread(target=listen, args=(port, *script)) for port, script in scripts.items()]
for thread in threads: thread.start()
`;

/** A sandbox whose programs are as harmful to the server as possible. */
export async function createHostileSandbox(): Promise<Sandbox> {
  const sandbox = await Sandbox.create({ timeoutMs: 24 * 3600 * 1000 });
  await sandbox.files.write('/home/user/hostile.py', program);
  await sandbox.commands.run('python3 /home/user/hostile.py', { background: true, timeoutMs: 0 });
  await awaitOpen(sandbox.sandboxId);
  return sandbox;
}

/** Waits until the ports are open. Closed ports would be no attack. */
async function awaitOpen(sandboxId: string): Promise<void> {
  const giveUpAt = Date.now() + openMs;
  for (;;) {
    const headers = { 'E2b-Sandbox-Id': sandboxId, 'E2b-Sandbox-Port': String(hostilePorts.body) };
    const { status, body } = await fetch(process.env['E2B_SANDBOX_URL'] ?? '', { headers });
    await body?.cancel();
    if (status === 200) return;
    if (Date.now() > giveUpAt) throw new Error(`the hostile program does not answer (status ${status})`);
    await sleep(100);
  }
}
