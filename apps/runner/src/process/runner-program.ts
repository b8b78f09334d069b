import type { RootLogger } from '@soulbox/base';
import type { PartProgram, RunningPart } from '@soulbox/process';
import { addRoutingRoutes, createRouteFeed } from '@soulbox/routing';
import { serveSocket } from '@soulbox/rpc';
import type { Door } from '@soulbox/rpc';
import { startRunnerHost } from './runner-host.ts';
import type { RunnerSettings } from './runner-host.ts';

/** A program that may call the runner. Each has a socket and a door of its own. */
interface Caller {
  /** Its user id. Any other user is refused. */
  readonly id: number;
  readonly socket: string;
  /** Our end of the channel over which connections into sandboxes are passed to it. */
  readonly channel: number;
}

export interface RunnerProcessSettings extends RunnerSettings {
  readonly callers: { readonly control: Caller; readonly gateway: Caller };
}

/** The runner as a process under a supervisor. */
export const runnerProgram: PartProgram = {
  part: 'runner',
  start: async (settings, logger) => await run(settings as unknown as RunnerProcessSettings, logger),
};

async function run(settings: RunnerProcessSettings, logger: RootLogger): Promise<RunningPart> {
  const host = await startRunnerHost(settings, logger);
  const { runner } = host;
  await using started = new AsyncDisposableStack();
  const end = { keepsSandboxes: true, isTakenBack: true };
  started.defer(async () => {
    if (end.isTakenBack) await host.takeBack();
    await host.close({ keepSandboxes: end.keepsSandboxes });
  });
  const ownLogger = logger.child({ part: 'runner' });
  const feed = started.use(createRouteFeed(runner.router, ownLogger));
  const { control, gateway } = settings.callers;
  const serve = async ({ id, socket, channel }: Caller, name: string, more: Door['routes']): Promise<void> => {
    const routes: Door['routes'] = (router) => {
      addRoutingRoutes(router, { feed, channel, logger: ownLogger });
      more(router);
    };
    // Only the caller's folder leads to its socket, and the kernel reports the user id of the peer.
    const door = { name, admits: ({ uid }: { uid: number }) => uid === id, routes };
    started.use(await serveSocket({ path: socket, doors: [door], mode: 0o666, logger: ownLogger }));
  };
  await serve(gateway, 'gateway', () => undefined);
  await serve(control, 'control', (router) => runner.addRoutes(router));
  end.isTakenBack = false;
  const owned = started.move();
  return {
    facts: {},
    listeners: {
      endSandboxes: async () => await runner.endAll(),
      takeBack: () => void (end.isTakenBack = true),
    },
    async stop({ keepSandboxes }) {
      end.keepsSandboxes = keepSandboxes;
      await owned.disposeAsync();
    },
  };
}
