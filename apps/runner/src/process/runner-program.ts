import type { RootLogger } from '@soulbox/base';
import type { PartProgram, RunningPart, SupervisorOfPart } from '@soulbox/process';
import { addPolicyRoutes } from '@soulbox/egress-policies';
import { addRoutingRoutes, createRouteFeed } from '@soulbox/routing';
import { serveSocket } from '@soulbox/rpc';
import type { Door } from '@soulbox/rpc';
import { startTracing } from '@soulbox/tracing';
import { startRunnerHost } from './runner-host.ts';
import type { RunnerSettings } from './runner-host.ts';

/** A program that may call the runner. Each has a door of its own. */
interface Caller {
  /** Its user id, which the kernel reports. Any other user is refused. */
  readonly id: number;
  /** Our end of the channel over which connections into sandboxes are passed to it. */
  readonly channel: number;
}

export interface RunnerProcessSettings extends RunnerSettings {
  readonly socket: string;
  readonly callers: { readonly control: Caller; readonly gateway: Caller };
  /** The user of the egress process, and the socket on which it gets its policies and nothing else. */
  readonly egress: { readonly id: number; readonly socket: string };
  /** The sockets of the services, and our end of the channels on which they get the devices of mounts. */
  readonly volumes: { readonly socket: string; readonly channel: number };
  readonly buckets: { readonly socket: string; readonly channel: number };
}

/** The runner as a process under a supervisor. */
export const runnerProgram: PartProgram = {
  part: 'runner',
  start: async (settings, logger, supervisor) =>
    await run(settings as unknown as RunnerProcessSettings, logger, supervisor),
};

async function run(
  settings: RunnerProcessSettings,
  logger: RootLogger,
  supervisor: SupervisorOfPart,
): Promise<RunningPart> {
  await using started = new AsyncDisposableStack();
  const ownLogger = logger.child({ part: 'runner' });
  started.use(await startTracing(settings.traces, { service: 'soulbox-runner', logger: ownLogger }));
  const host = await startRunnerHost(settings, logger, {
    wantVolumes: () => supervisor.want('volumes'),
    wantBuckets: () => supervisor.want('buckets'),
  });
  const { runner } = host;
  const end = { keepsSandboxes: true, isTakenBack: true };
  started.defer(async () => {
    if (end.isTakenBack) await host.takeBack();
    await host.close({ keepSandboxes: end.keepsSandboxes });
  });
  const feed = started.use(createRouteFeed(runner.router, ownLogger));
  const { socket: path, callers } = settings;
  const doorOf = (name: keyof typeof callers, more: Door['routes']): Door => {
    const { id, channel } = callers[name];
    const routes: Door['routes'] = (router) => {
      addRoutingRoutes(router, { feed, channel, logger: ownLogger });
      more(router);
    };
    return { name, admits: ({ uid }) => uid === id, routes };
  };
  const doors = [doorOf('gateway', () => undefined), doorOf('control', (router) => runner.addRoutes(router))];
  started.use(await serveSocket({ path, doors, mode: 0o666, logger: ownLogger }));
  const egressDoor: Door = {
    name: 'egress',
    admits: ({ uid }) => uid === settings.egress.id,
    routes: (router) => addPolicyRoutes(router, host.policies),
  };
  started.use(await serveSocket({ path: settings.egress.socket, doors: [egressDoor], mode: 0o666, logger: ownLogger }));
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
