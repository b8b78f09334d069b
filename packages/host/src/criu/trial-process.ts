import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { run } from '@soulbox/base';

const images = '/run/images';

// Started by trial.ts as the first process of temporary namespaces: `trial-process.ts CRIU`. Exits with 0, or writes
// the reason to standard error.
try {
  await saveAndRestore(process.argv[2] ?? '');
} catch (error) {
  process.stderr.write(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}

async function saveAndRestore(program: string): Promise<void> {
  closeInherited();
  await run('ip', ['link', 'set', 'lo', 'up']);
  // Only visible in this mount namespace. CRIU caches facts about a kernel only if /run is a tmpfs.
  await run('mount', ['-t', 'tmpfs', 'none', '/run']);
  await mkdir(images);
  const { child, port } = await startListener();
  const ended = once(child, 'exit');
  const common = ['--images-dir', images, '--no-default-config', '--manage-cgroups=ignore', '--verbosity=1'];
  try {
    await run(program, ['dump', '--tree', String(child.pid), '--network-lock', 'skip', ...common]);
    await ended;
  } finally {
    child.kill('SIGKILL');
  }
  await run(program, ['restore', '--restore-detached', ...common]);
  await connectTo(port);
}

/**
 * Closes descriptors that a caller left open. They would be in the image, and a socket to an outside peer would fail
 * the dump. Node's own descriptors close on exec.
 */
function closeInherited(): void {
  const closesOnExec = 0o2000000;
  for (const fd of readdirSync('/proc/self/fd').map(Number)) {
    if (fd <= 2) continue;
    const [, flags] = /^flags:\s*(\d+)$/m.exec(readInfo(fd)) ?? [];
    if (flags !== undefined && (Number.parseInt(flags, 8) & closesOnExec) === 0) closeSync(fd);
  }
}

function readInfo(fd: number): string {
  try {
    return readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1');
  } catch {
    // This is the descriptor that listed the folder, which is closed by now.
    return '';
  }
}

/** Starts a `sleep` with a listening TCP socket as its standard input. No system lacks these. */
async function startListener(): Promise<{ child: ChildProcess; port: number }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  // Node has no public API for the descriptor of a server.
  const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
  const child = spawn('sleep', ['60'], { detached: true, stdio: [fd, 'ignore', 'ignore'] });
  await once(child, 'spawn');
  server.close();
  return { child, port };
}

/** The kernel itself completes the handshake for a listening socket. */
async function connectTo(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.destroy();
}
