import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** A process in a mount namespace of its own, with copies of all mounts of this one. Disposing ends it. */
export interface MountHolder extends AsyncDisposable {
  /** Reads a short file in that namespace, by `cat`. Returns what it printed, messages among it. */
  readonly read: (path: string) => Promise<string>;
}

export async function holdMounts(): Promise<MountHolder> {
  const script = 'echo ready; while read -r path; do printf %s "$(cat "$path" 2>&1)"; done';
  const child = spawn('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', script], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdout.setEncoding('utf8');
  const exited = once(child, 'exit');
  const nextText = async (): Promise<string> => {
    const [text] = (await once(child.stdout, 'data')) as [string];
    return text;
  };
  await nextText();
  return {
    read: async (path) => {
      const text = nextText();
      child.stdin.write(`${path}\n`);
      return await text;
    },
    [Symbol.asyncDispose]: async () => {
      child.stdin.end();
      await exited;
    },
  };
}
