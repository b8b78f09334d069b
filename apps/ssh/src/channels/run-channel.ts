import type { Logger } from '@soulbox/base';
import { errorFromUnknown } from '@soulbox/base';
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
  const whenRunning = (act: (pid: number) => Promise<unknown>): void => {
    started.promise
      .then(async (pid) => (hasEnded ? undefined : await act(pid)))
      .catch((err: unknown) => logger.debug({ err }, 'a program was not told'));
  };
  const signal = (name: string): void =>
    whenRunning(async (pid) => await programs.startDetached(signalCommand(name, pid)));

  const feed = async (pid: number): Promise<void> => {
    const isEnded = await readChannel(channel, async (bytes) => {
      // A program may end without reading its input.
      if (!hasEnded) await programs.sendInput(pid, bytes, undefined, input).catch(() => undefined);
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
    if (!hasEnded) signal('HUP');
  });
  void run().finally(onEnd);
  return {
    resize: (size) => {
      if (input === 'pty') whenRunning(async (pid) => await programs.resize(pid, size));
    },
    signal,
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
