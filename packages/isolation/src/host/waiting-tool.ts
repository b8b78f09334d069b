import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { conductTool, toolEnvironment } from './host-tool.ts';
import type { ToolOptions } from './host-tool.ts';

/**
 * A host program that was started before it was known for which sandbox. It waits for its order on its standard input,
 * and ends when that is closed: with the server at the latest. Until then it belongs to no sandbox.
 */
export interface WaitingTool {
  readonly isWaiting: boolean;
  /**
   * Gives the tool to a sandbox and lets it work, once. Each word of the order is a line, after their number. Throws the
   * errors of `runHostTool`.
   */
  begin(
    order: readonly string[],
    options: Pick<ToolOptions, 'tools' | 'signal' | 'timeoutMs' | 'onLine'>,
  ): Promise<void>;
}

/** `descriptors`: inherited as 3, 4 and so on. */
export function startWaitingTool(argv: readonly string[], descriptors: readonly number[] = []): WaitingTool {
  const [command = '', ...args] = argv;
  const child = spawn(command, args, {
    cwd: '/',
    env: toolEnvironment,
    stdio: ['pipe', 'pipe', 'pipe', ...descriptors],
  });
  // Without free descriptors there are no streams, and an error follows.
  const input = child.stdin as Writable | undefined;
  let isWaiting = true;
  const stop = (): void => void (isWaiting = false);
  child.once('exit', stop);
  child.once('error', stop);
  // Noticed by its end. A server without other work can exit.
  input?.on('error', () => undefined);
  hold(child, false);
  return {
    get isWaiting() {
      return isWaiting;
    },
    async begin(order, options) {
      stop();
      hold(child, true);
      try {
        joinGroup(child, options.tools.folder);
        input?.write([String(order.length), ...order.map(asLine), ''].join('\n'));
      } catch (error) {
        child.kill('SIGKILL');
        throw error;
      }
      await conductTool(child, [...argv, ...order], options);
    },
  };
}

/** Whoever ends the tools of the sandbox finds it, and what it starts, from here on. */
function joinGroup({ pid }: ChildProcess, folder: string): void {
  if (pid === undefined) return;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'cgroup.procs'), String(pid));
}

function asLine(word: string): string {
  if (word.includes('\n')) throw new Error('a word of an order contains a line break');
  return word;
}

function hold(child: ChildProcess, isHeld: boolean): void {
  const parts = [child, child.stdin, child.stdout, child.stderr];
  for (const part of parts) {
    if (!(part instanceof Socket) && part !== child) continue;
    if (isHeld) part.ref();
    else part.unref();
  }
}
