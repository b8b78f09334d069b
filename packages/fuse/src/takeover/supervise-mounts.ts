import { spawn, type ChildProcess } from 'node:child_process';
import { openMount, type Mounted, type MountOptions } from '../session/mount.ts';
import { firstFd, type AbandonMessage, type ServeMessage, type ServerMessage } from './messages.ts';

export interface SupervisorOptions {
  readonly mounts: readonly MountOptions[];
  /** A program of Node.js that calls `serveInherited`, and its arguments. */
  readonly program: string;
  readonly args?: readonly string[];
  /** Flags of Node.js. Default: those of this process. */
  readonly execArgv?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** A second server waits, started but idle, so that a takeover takes milliseconds. It costs its memory. Default true. */
  readonly standby?: boolean;
  /** A server that needs longer to serve, or to end after an abort, is killed. Default 30,000. */
  readonly startTimeoutMs?: number;
  /** So many servers in a row that ended before they served end the mounts. Default 5. */
  readonly maxFailures?: number;
  readonly onEvent?: (event: SupervisorEvent) => void;
}

export type SupervisorEvent =
  /** `durationMs`: since the death of the server before, or since the start. */
  | { readonly type: 'serving'; readonly pid: number; readonly isTakeover: boolean; readonly durationMs: number }
  | { readonly type: 'ended'; readonly pid: number; readonly status: number | NodeJS.Signals | null }
  /** The mounts were aborted: their callers get errors. */
  | { readonly type: 'gave-up'; readonly reason: string };

export interface SupervisedMounts extends AsyncDisposable {
  readonly mounts: readonly Mounted[];
  /** Of the server that serves, if one does. */
  readonly serverPid: () => number | undefined;
  /** Throws while a mount is in use. */
  readonly unmount: () => Promise<void>;
  readonly abort: () => Promise<void>;
  /** When all mounts are gone and no server is left. */
  readonly closed: Promise<void>;
}

interface Server {
  readonly child: ChildProcess;
  /** Or ended. */
  readonly ready: Promise<unknown>;
  isServing: boolean;
}

/**
 * Mounts, and keeps a server for the mounts: a process that may be killed at any time without an error for those who use
 * them. This process holds the devices, so the mounts outlive the server; the next one gets what has no reply yet. It must
 * not touch the mounts itself. Throws if no server can serve them.
 */
export async function superviseMounts(options: SupervisorOptions): Promise<SupervisedMounts> {
  const { standby: hasStandby = true, startTimeoutMs = 30_000, maxFailures = 5, onEvent = () => undefined } = options;
  const mounts: Mounted[] = [];
  /** By the descriptor in the server. */
  const left = new Map<number, Mounted>();
  const closed = Promise.withResolvers<undefined>();
  /** When a server has served for the first time. */
  const first = Promise.withResolvers<undefined>();
  const running = new Set<Server>();
  let active: Server | undefined;
  let standby: Server | undefined;
  let failures = 0;
  let isTakeover = false;
  let isOver = false;

  function start(): Server {
    const { program, args = [], execArgv = process.execArgv } = options;
    const child = spawn(process.execPath, [...execArgv, program, ...args], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', ...mounts.map(({ fd }) => fd)],
      ...(options.env !== undefined && { env: options.env }),
    });
    const ready = Promise.withResolvers<undefined>();
    const server: Server = { child, ready: ready.promise, isServing: false };
    running.add(server);
    child.on('message', (sent) => {
      const message = sent as ServerMessage;
      if (message.type === 'ready') ready.resolve(undefined);
      if (message.type === 'closed') forget(message.fd);
      if (message.type === 'serving') {
        server.isServing = true;
        onServing();
      }
    });
    // A program that cannot be started ends, too; a channel that breaks is followed by the end.
    const end = (status: number | NodeJS.Signals | null): void => {
      ready.resolve(undefined);
      onEnd(server, status);
    };
    child.once('error', () => end(null));
    child.once('exit', (status, signal) => end(signal ?? status));
    return server;
  }

  let startedAt = performance.now();
  let deadline: NodeJS.Timeout | undefined;

  function onServing(): void {
    clearTimeout(deadline);
    failures = 0;
    const durationMs = performance.now() - startedAt;
    onEvent({ type: 'serving', pid: active?.child.pid ?? 0, isTakeover, durationMs });
    isTakeover = true;
    first.resolve(undefined);
    if (hasStandby && !isOver) standby ??= start();
  }

  /** Tells a server to serve what is left, the one that stands by first. */
  async function serve(): Promise<void> {
    startedAt = performance.now();
    const server = (active = standby ?? start());
    standby = undefined;
    deadline = setTimeout(() => server.child.kill('SIGKILL'), startTimeoutMs);
    await server.ready;
    const message: ServeMessage = {
      type: 'serve',
      mounts: [...left].map(([fd, { mountPoint, negotiated }]) => ({ fd, mountPoint, negotiated, isTakeover })),
    };
    // If it is dead, its end is on the way.
    server.child.send(message, () => undefined);
  }

  function onEnd(server: Server, status: number | NodeJS.Signals | null): void {
    if (!running.delete(server)) return;
    onEvent({ type: 'ended', pid: server.child.pid ?? 0, status });
    if (server === standby) standby = undefined;
    if (server === active) {
      active = undefined;
      clearTimeout(deadline);
      if (!server.isServing) failures += 1;
      if (isOver) forgetAll();
      else next();
    }
    settle();
  }

  function next(): void {
    const cannotResend = mounts.find(({ negotiated }) => !negotiated.flags.includes('hasResend'));
    if (cannotResend !== undefined && isTakeover) {
      giveUp('This kernel cannot send requests again. Linux 6.9 can.');
    } else if (failures >= maxFailures) {
      giveUp(`${failures} servers in a row ended before they served.`);
    } else {
      void serve();
    }
  }

  function giveUp(reason: string): void {
    onEvent({ type: 'gave-up', reason });
    const error = new Error(`The mounts cannot be served: ${reason}`);
    const fail = (): void => first.reject(error);
    abort().then(fail, fail);
  }

  /** A mount is gone. */
  function forget(fd: number): void {
    left.get(fd)?.close();
    left.delete(fd);
    if (left.size === 0) finish();
  }

  /** Nobody serves them, and nobody will. */
  function forgetAll(): void {
    for (const fd of left.keys()) forget(fd);
  }

  function finish(): void {
    isOver = true;
    clearTimeout(deadline);
    standby?.child.kill('SIGKILL');
    settle();
  }

  function settle(): void {
    if (isOver && left.size === 0 && running.size === 0) closed.resolve(undefined);
  }

  async function abort(): Promise<void> {
    isOver = true;
    for (const mounted of left.values()) await mounted.abort();
    // Those who serve end by themselves, when they are told so. Others never will.
    const message: AbandonMessage = { type: 'abandon' };
    for (const server of running) {
      if (server.isServing) server.child.send(message, () => undefined);
      else server.child.kill('SIGKILL');
    }
    if (active?.isServing !== true) forgetAll();
    finish();
    const late = setTimeout(() => {
      for (const { child } of running) child.kill('SIGKILL');
    }, startTimeoutMs);
    await closed.promise.finally(() => clearTimeout(late));
  }

  try {
    for (const mount of options.mounts) {
      const mounted = await openMount(mount);
      mounts.push(mounted);
      left.set(firstFd + left.size, mounted);
    }
  } catch (error) {
    for (const mounted of mounts) {
      await mounted.abort();
      mounted.close();
    }
    throw error;
  }
  void serve();
  await first.promise;
  return {
    mounts,
    serverPid: () => (active?.isServing === true ? active.child.pid : undefined),
    closed: closed.promise.then(() => undefined),
    abort,
    unmount: async () => {
      for (const mounted of left.values()) await mounted.unmount();
      await closed.promise;
    },
    [Symbol.asyncDispose]: abort,
  };
}
