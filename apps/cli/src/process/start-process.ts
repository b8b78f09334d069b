import { randomUUID } from 'node:crypto';
import { SoulBoxError } from '@soulbox/base';
import { runProcess } from '@soulbox/client/process';
import type { OpenedStream } from '@soulbox/client/process';
import { LogPolicy } from '@soulbox/contract/process-v1';
import type { Process } from '@soulbox/contract/process-v1';
import { faultFrom, keepaliveSeconds } from './reach-processes.ts';
import type { ReachedProcesses } from './reach-processes.ts';
import { Interrupted, trySignal } from './signals.ts';
import type { Signals } from './signals.ts';
import type { Size } from './terminal.ts';

export interface StartedProgram {
  readonly command: string;
  readonly args: readonly string[];
  readonly user?: string | undefined;
  readonly cwd?: string | undefined;
  readonly env: Readonly<Record<string, string>>;
  /** Absent: pipes. */
  readonly terminal?: Size | undefined;
  readonly hasInput: boolean;
  /** Absent: it may run for ever. */
  readonly timeoutSeconds?: number | undefined;
  /** Nobody reads its output now: it must not wait for that. */
  readonly isDetached: boolean;
}

/** How long the output of a detached program is kept after its end. A day, which is the longest. */
const detachedKeepSeconds = 86_400;
/** A program does not start later than that. Milliseconds. */
const startMs = 60_000;

export interface StartedProcess {
  readonly process: Process;
  /** Its output, which has begun, for a session. */
  readonly opened?: OpenedStream | undefined;
}

interface Begun {
  readonly process?: Process | undefined;
  readonly opened?: OpenedStream | undefined;
}

/** Starts a program once, even if the call must be repeated. A signal that comes meanwhile ends it. */
export async function startProcess(
  { sandbox, signals }: { readonly sandbox: ReachedProcesses; readonly signals: Signals },
  program: StartedProgram,
): Promise<StartedProcess> {
  const { command, args, env, user = '', cwd = '', terminal, hasInput, timeoutSeconds, isDetached } = program;
  const id = `cli-${randomUUID()}`;
  const request = {
    ...{ id, user, hasInput, command: { program: command, args: [...args], env: { ...env }, cwd } },
    ...(terminal === undefined ? {} : { terminal }),
    // A terminal can be left at any time, and nothing would acknowledge its output then.
    log: { policy: isDetached || terminal !== undefined ? LogPolicy.DROP_OLDEST : LogPolicy.BLOCK },
    deadlineMs: BigInt(timeoutSeconds ?? 0) * 1000n,
    keepSeconds: isDetached ? detachedKeepSeconds : 0,
  };
  try {
    const { client, retry } = sandbox;
    const signal = AbortSignal.timeout(startMs);
    const starting = isDetached
      ? client.start(request, { signal })
      : runProcess(client, { start: request, keepaliveSeconds }, { retry, signal });
    const { process, ...begun } = await signals.orInterrupted<Begun>(starting);
    if (process === undefined)
      throw new SoulBoxError('sandbox_unreachable', 'The sandbox did not say what it started.');
    // Its answer is not trusted with the id, which becomes a part of commands that people copy.
    return { process: { ...process, id }, opened: begun.opened };
  } catch (thrown) {
    if (!(thrown instanceof Interrupted)) throw faultFrom(thrown);
    // It may have started already.
    await trySignal(sandbox.client, id, thrown.signal);
    throw thrown;
  }
}
