import { createRouterTransport } from '@connectrpc/connect';
import type { ConnectRouter, Transport } from '@connectrpc/connect';
import type { RouteSource } from '@soulbox/routing';
import { createRunnerContext } from './context.ts';
import type { RunnerOptions } from './context.ts';
import type { UploadSettings } from './object-storage/connect.ts';
import { addRunnerRoutes } from './serve/routes.ts';
import { bundleDirectoryOf } from './processes/sandbox-host.ts';
import type { KnownSandbox } from './registry/table.ts';
import { isSpare, isTenants, looksPaused } from './registry/table.ts';

export interface Runner extends AsyncDisposable {
  /** Adds the routes for the control plane (spec/runner). */
  addRoutes(router: ConnectRouter): void;
  /** The same for callers in this process. */
  readonly transport: Transport;
  /** The gateway's routes to its sandboxes. */
  readonly router: RouteSource;
  /** Spares that are ready. */
  readyCount(): number;
  /** Folders of the envd versions that sandboxes and checkpoints of this host use. */
  bundlesInUse(): Set<string>;
  /** Sandboxes that run for tenants. */
  runningCount(): number;
  /** Uploads what sleeps to an object store, until disposed. */
  startUploads(settings: UploadSettings): Promise<AsyncDisposable>;
  /**
   * Ends every running sandbox, spares included, for a shutdown that leaves no processes. Paused ones stay, with
   * digests of their disks.
   */
  endAll(): Promise<void>;
  /** Ends only the spares, for a start that fails later, when sandboxes of tenants were adopted already. */
  endSpares(): Promise<void>;
}

/** Starts the runner of this host. Disposing it leaves its sandboxes running, for the next one to adopt. */
export async function startRunner(options: RunnerOptions): Promise<Runner> {
  const context = await createRunnerContext(options);
  const end = async (isMeant: (sandbox: KnownSandbox) => boolean): Promise<void> => {
    await context.pool.close();
    const meant = context.table.all().filter(isMeant);
    await Promise.all(meant.map(async ({ record }) => await context.end(record.sandboxId, 'killed')));
  };
  const addRoutes = (router: ConnectRouter): void => addRunnerRoutes(router, context);
  return {
    addRoutes,
    transport: createRouterTransport(addRoutes),
    router: context.router,
    readyCount: () => context.pool.readyCount(),
    bundlesInUse: () =>
      new Set([
        ...context.table.all().map(({ record }) => bundleDirectoryOf(context.host, record.runtimeName)),
        ...context.snapshots.list().map(({ runtimeName }) => bundleDirectoryOf(context.host, runtimeName)),
      ]),
    async startUploads(settings) {
      const { connectUploads } = await import('./object-storage/connect.ts');
      const uploader = connectUploads(context, settings);
      context.uploads.current = uploader;
      return uploader;
    },
    runningCount: () => context.table.running().length,
    endAll: async () => {
      await end((sandbox) => !(isTenants(sandbox) && looksPaused(sandbox)));
      await context.backgroundDigest.finish();
    },
    endSpares: async () => await end(isSpare),
    async [Symbol.asyncDispose]() {
      await context[Symbol.asyncDispose]();
    },
  };
}
