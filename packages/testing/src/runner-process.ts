import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { nodeProgram, testTemplatesDirectory } from './server-process.ts';

const program = fileURLToPath(new URL('./runner-program.ts', import.meta.url));

/** A runner in a process of its own, without API and gateway. */
export interface RunnerProcess {
  /**
   * Calls a method of spec/runner by its name there; request and answer are in JSON form. These methods exist as well,
   * each with a `sandboxId`:
   * - `ask`: whether its envd answers.
   * - `fill`: gives it a large disk.
   * - `wake`: wakes it as the gateway does.
   * - `shell`: returns the output of a `command` in it.
   *
   * `moveDeadline` takes `endAtMs`. `runBuild` answers with all its `events`, and `cancelBuild` drops its stream.
   * Rejects with the runner's message, and when the runner is killed.
   */
  call(method: string, request: object): Promise<Record<string, unknown>>;
  readonly pid: number;
  /**
   * The events that it has reported about its sandboxes so far (spec/runner, WatchEvents), in JSON form. Those for
   * sandboxes that existed at its start come first.
   */
  readonly events: readonly RunnerEvent[];
  /** Kills it with SIGKILL at any point. Its sandboxes continue. */
  kill(): Promise<void>;
  /** Stops the runner. Only its sandboxes remain. */
  stop(): Promise<void>;
}

export interface RunnerEvent {
  readonly created?: { readonly sandbox: { readonly sandboxId: string; readonly state: string } };
  readonly updated?: { readonly sandbox: { readonly sandboxId: string; readonly state: string } };
  readonly ended?: { readonly sandboxId: string; readonly cause: string };
}

export interface RunnerProcessOptions {
  /** Default: the folder that all tests share. */
  readonly templatesDirectory?: string;
  /** Settings of the runner, as `SOULBOX_*` variables. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** Starts a runner on a data folder, whatever an earlier one left there. */
export async function startRunnerProcess(
  instance: number,
  dataDirectory: string,
  { templatesDirectory = testTemplatesDirectory, environment = {} }: RunnerProcessOptions = {},
): Promise<RunnerProcess> {
  const args = ['--conditions=soulbox-source', program, String(instance), dataDirectory, templatesDirectory];
  const child = spawn(nodeProgram, args, {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...environment },
  });
  const events: RunnerEvent[] = [];
  const waiting = new Map<number, PromiseWithResolvers<Record<string, unknown>>>();
  const wait = async (id: number): Promise<Record<string, unknown>> => {
    const waiter = Promise.withResolvers<Record<string, unknown>>();
    waiting.set(id, waiter);
    return await waiter.promise;
  };
  createInterface({ input: child.stdout }).on('line', (line) => {
    const message = JSON.parse(line) as { id: number; result?: object; error?: string; event?: RunnerEvent };
    const { id, result, error, event } = message;
    if (event !== undefined) events.push(event);
    else if (error === undefined) waiting.get(id)?.resolve(result as Record<string, unknown>);
    else waiting.get(id)?.reject(new Error(error));
    waiting.delete(id);
  });
  const ended = once(child, 'exit').then(() => {
    for (const waiter of waiting.values()) waiter.reject(new Error('the runner ended'));
  });
  child.stdin.on('error', () => undefined);
  await wait(0);

  let lastId = 0;
  const call = async (method: string, request: object): Promise<Record<string, unknown>> => {
    const answer = wait(++lastId);
    child.stdin.write(`${JSON.stringify({ id: lastId, method, request })}\n`);
    return await answer;
  };
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  return {
    pid: child.pid ?? 0,
    events,
    call,
    kill,
    stop: async () => {
      await call('stop', {});
      await kill();
    },
  };
}
