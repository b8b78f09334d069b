import { createMemoryFs } from '../memory/memory-fs.ts';
import { mountFs, type FuseSession } from '../session/mount-fs.ts';

/**
 * A process that serves one memory file system under one or more mounts: tests may call a mount synchronously only if
 * another process serves it. Arguments: options as JSON, then the mount points. Prints `ready`, and a line for each fault.
 * A line on standard input is a command: `unmount`, `abort`, `stats`; its answer is one line.
 */
const [options = '{}', ...mountPoints] = process.argv.slice(2);
const print = (line: string): void => void process.stdout.write(`${line}\n`);
const { fs = {}, mount = {} } = JSON.parse(options) as { fs?: object; mount?: object };
const memory = createMemoryFs(fs);
const sessions: FuseSession[] = [];
for (const mountPoint of mountPoints) {
  sessions.push(await mountFs(memory, { ...mount, mountPoint, onFault: (error) => print(`fault ${String(error)}`) }));
}
print('ready');

async function run(command: string): Promise<string> {
  switch (command) {
    case 'unmount':
      for (const session of sessions) await session.unmount();
      return 'unmounted';
    case 'abort':
      for (const session of sessions) await session.abort();
      return 'aborted';
    case 'stats':
      return JSON.stringify(sessions.map((session) => session.stats()));
    default:
      return `unknown ${command}`;
  }
}

process.stdin.setEncoding('utf8').on('data', (text: string) => {
  void run(text.trim()).then(print, (error: unknown) => print(`error ${String(error)}`));
});
// Whoever started it is gone.
process.stdin.once('end', () => void run('abort'));
await Promise.all(sessions.map(({ closed }) => closed));
process.stdin.destroy();
