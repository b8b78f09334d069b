import type { Logger, Reason } from '@soulbox/base';
import { errorFromUnknown } from '@soulbox/base';
import { errorFromConnect } from '@soulbox/contract/connect-errors';
import type { TerminalSize } from '@soulbox/envd-client';
import type { ServerChannel } from 'ssh2';
import type { Outlet } from '../outlet.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import { createChannelOutput } from './channel-output.ts';
import { signalCommand } from './commands.ts';
import type { Command } from './commands.ts';
import { exitOf } from './exit-of.ts';
import { readChannel } from './read-channel.ts';

export interface RunOptions {
  readonly command: Command;
  readonly env: Readonly<Record<string, string>>;
  /** Absent: pipes. */
  readonly terminal: TerminalSize | undefined;
  readonly sandbox: Sandbox;
  readonly outlet: Outlet;
  /** Called when nothing of it is left here. */
  readonly onEnd: () => void;
  readonly logger: Logger;
}

/** A program behind a channel. */
export interface RunningChannel {
  resize(size: TerminalSize): void;
  signal(name: string): void;
}

/** Signals that are on their way to a program at once. Further ones are dropped. */
const signalsMax = 8;
/** The program has closed its input, or is gone. As over a pipe, what was sent is lost. */
const closed = new Set<Reason>(['process_state', 'process_not_found']);
const notRead = { reason: 'sandbox_unreachable', message: 'The program did not read its input in time.' } as const;

/** The status of ssh(1) for errors that are not those of the program. */
const failedStatus = 255;

/** Runs a program and connects it to the channel, until both have ended. Never throws. */
export function runChannel(channel: ServerChannel, options: RunOptions): RunningChannel {
  const { command, env, terminal, sandbox, outlet, onEnd, logger } = options;
  const { programs } = sandbox;
  const output = createChannelOutput(channel, outlet);
  const started = Promise.withResolvers<number>();
  started.promise.catch(() => undefined);
  const input = terminal === undefined ? 'stdin' : 'pty';
  let hasEnded = false;
  const whenRunning = async (act: (pid: number) => Promise<unknown>): Promise<void> => {
    try {
      const pid = await started.promise;
      if (!hasEnded) await act(pid);
    } catch (err) {
      logger.debug({ err }, 'a program was not told');
    }
  };
  const signal = async (name: string): Promise<void> =>
    await whenRunning(async (pid) => await programs.startDetached(signalCommand(name, pid)));
  let signals = 0;
  // The size that the terminal does not have yet.
  let wanted: TerminalSize | undefined;
  let isResizing = false;
  const resize = async (): Promise<void> => {
    if (isResizing) return;
    isResizing = true;
    await whenRunning(async (pid) => {
      while (wanted !== undefined) {
        const size = wanted;
        wanted = undefined;
        await programs.resize(pid, size);
      }
    });
    isResizing = false;
  };

  const tellLoss = async (thrown: unknown): Promise<void> => {
    const { reason, message } = errorFromConnect(thrown, notRead);
    if (hasEnded || closed.has(reason)) return;
    logger.debug({ err: thrown }, 'input of a program was lost');
    await output.write('stderr', Buffer.from(`soulbox: ${message}\r\n`));
    if (output.isClosed()) return;
    channel.exit(failedStatus);
    channel.end();
  };
  const feed = async (pid: number): Promise<void> => {
    const isEnded = await readChannel(channel, async (bytes) => {
      // A program may end without reading its input.
      if (!hasEnded) await programs.sendInput(pid, bytes, undefined, input).catch(tellLoss);
    });
    // The end of the input of a terminal means nothing: its client sends a character.
    if (isEnded && !hasEnded && input === 'stdin') await programs.closeInput(pid).catch(() => undefined);
  };
  const run = async (): Promise<void> => {
    try {
      const end = await programs.run(
        {
          ...{ ...command, env, stdin: 'open' },
          ...(terminal === undefined ? {} : { terminal }),
          onStart: (pid) => {
            started.resolve(pid);
            void feed(pid);
          },
        },
        async (name, bytes) => await output.write(name, bytes),
      );
      hasEnded = true;
      const exit = exitOf(end);
      if (exit.kind === 'status') channel.exit(exit.status);
      else channel.exit(exit.name, exit.hasDumped, end.status);
    } catch (thrown) {
      hasEnded = true;
      started.reject(thrown);
      logger.debug({ err: thrown }, 'a program could not be run for SSH');
      await output.write('stderr', Buffer.from(`soulbox: ${errorFromUnknown(thrown).message}\r\n`));
      if (!output.isClosed()) channel.exit(failedStatus);
    }
    if (!output.isClosed()) channel.end();
  };
  // As a terminal that is hung up. A program that ignores it goes on, like one that was started with nohup.
  void output.closed.then(() => {
    if (!hasEnded) void signal('HUP');
  });
  void run().finally(onEnd);
  return {
    resize(size) {
      if (input !== 'pty') return;
      wanted = size;
      void resize();
    },
    signal(name) {
      if (signals >= signalsMax) return;
      signals += 1;
      void signal(name).finally(() => (signals -= 1));
    },
  };
}

/** Tells why there is no program, as ssh(1) shows it. */
export function refuseChannel(channel: ServerChannel, message: string): void {
  channel.on('error', () => undefined);
  channel.resume();
  channel.stderr.write(`soulbox: ${message}\r\n`, () => {
    channel.exit(failedStatus);
    channel.end();
  });
}
