import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Program } from '@soulbox/linux/programs';
import { conductTool, startTool, toolEnvironment } from './host-tool.ts';
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

/** `descriptors`: inherited as 3, 4 and so on. Throws CommandError. */
export function startWaitingTool(argv: readonly string[], descriptors: readonly number[] = []): WaitingTool {
  const program = startTool(argv, {
    ...{ directory: '/', environment: toolEnvironment, standardStreams: 'pipe', descriptors },
  });
  let isWaiting = true;
  const stop = (): void => void (isWaiting = false);
  void program.exited.then(stop);
  // Noticed by its end. A server without other work can exit.
  program.input?.on('error', () => undefined);
  hold(program, false);
  return {
    get isWaiting() {
      return isWaiting;
    },
    async begin(order, options) {
      stop();
      hold(program, true);
      try {
        joinGroup(program, options.tools.folder);
        program.input?.write([String(order.length), ...order.map(asLine), ''].join('\n'));
      } catch (error) {
        program.kill();
        throw error;
      }
      await conductTool(program, [...argv, ...order], options);
    },
  };
}

/** Whoever ends the tools of the sandbox finds it, and what it starts, from here on. */
function joinGroup({ pid }: Program, folder: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'cgroup.procs'), String(pid));
}

function asLine(word: string): string {
  if (word.includes('\n')) throw new Error('a word of an order contains a line break');
  return word;
}

/** Whether the streams of a program keep this process from ending. */
export function hold({ input, output, errors }: Program, isHeld: boolean): void {
  for (const stream of [input, output, errors])
    if (isHeld) stream?.ref();
    else stream?.unref();
}
