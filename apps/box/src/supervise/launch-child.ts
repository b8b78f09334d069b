import { spawn } from 'node:child_process';
import type { Duplex } from 'node:stream';
import type { RootLogger } from '@soulbox/base';
import { channelFd } from '@soulbox/process';
import { argvOf, environmentOf } from './launch.ts';
import type { LaunchPart, PartExit } from './launch.ts';
import { passLines } from './pass-lines.ts';

/** Starts parts as child processes of the supervisor. Their output goes to its log. */
export function createChildLauncher(logger: RootLogger): LaunchPart {
  return async (plan) => {
    const inherited = ['pipe', ...plan.descriptors] as const;
    const [file, ...rest] = argvOf(plan, inherited.length);
    const child = spawn(file, rest, {
      cwd: '/',
      env: environmentOf(plan),
      stdio: ['ignore', 'pipe', 'pipe', ...inherited],
    });
    const exited = new Promise<PartExit>((resolve) => {
      child.once('exit', (code, signal) => resolve({ code, signal }));
      child.once('error', (err) => {
        logger.error({ part: plan.name, err }, 'a process of the server could not be started');
        resolve({ code: null, signal: null });
      });
    });
    for (const stream of [child.stdout, child.stderr])
      if (stream !== null) passLines(stream, { part: plan.name, names: plan.logNames, logger });
    const channel = child.stdio[channelFd] as Duplex;
    return await Promise.resolve({ pid: child.pid ?? -1, channel, exited, kill: () => void child.kill('SIGKILL') });
  };
}
