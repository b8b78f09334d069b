import { constantTimeEqual, SoulBoxError } from '@soulbox/base';
import { createFileSigner } from '@soulbox/contract';
import type { SandboxRoute } from '@soulbox/contract';
import type { RouteSource } from '@soulbox/routing';
import type { Activity } from '../metrics/activity.ts';
import type { SandboxTable, TenantSandbox } from '../registry/table.ts';
import { isClaimed, isRunning, isTenants, looksPaused, sandboxNotFound, secretOrNone } from '../registry/table.ts';

/** The gateway's view of this host's sandboxes. `cutOff` removes a sandbox from it. */
export interface Router extends RouteSource {
  /** Tells the gateway to stop serving a sandbox. Resolves when its connections are closed, or after a short time. */
  cutOff(sandboxId: string): Promise<void>;
}

/** `wake` resumes a paused sandbox. It is called once for all requests that wait. */
export function createRouter(
  table: SandboxTable,
  activity: Activity,
  wake: (sandboxId: string) => Promise<void>,
): Router {
  const listeners = new Set<(sandboxId: string) => unknown>();
  const waking = new Map<string, Promise<void>>();

  const wakeOnce = async (sandboxId: string): Promise<void> => {
    // A pause, resume or snapshot in progress ends first. Only then is it known whether a resume is needed.
    await table.alone(sandboxId, async () => await Promise.resolve());
    const sandbox = table.getTenants(sandboxId);
    if (isRunning(sandbox)) return;
    if (!sandbox.record.tenant.lifecycle.autoResume) {
      throw new SoulBoxError(
        'illegal_transition',
        `Sandbox "${sandboxId}" is paused and does not resume automatically.`,
      );
    }
    await wake(sandboxId);
  };

  return {
    find(sandboxId) {
      const sandbox = table.find(sandboxId);
      return sandbox !== undefined && isTenants(sandbox) ? routeOf(sandbox) : undefined;
    },
    findBySignature(request, signature) {
      // Tries every token in constant time, 2 µs each. The gateway limits how often this happens.
      const sign = createFileSigner(request);
      let found: TenantSandbox | undefined;
      for (const sandbox of table.tenants()) {
        const token = sandbox.record.tenant.envdAccessToken;
        if (token !== '' && constantTimeEqual(sign(token), signature)) found = sandbox;
      }
      return found === undefined ? undefined : routeOf(found);
    },
    signatureTokens: () => table.tenants().length,
    findByAccessToken(token) {
      const sandbox = table.findByToken(token);
      if (sandbox === undefined || !isTenants(sandbox)) return undefined;
      return constantTimeEqual(sandbox.record.tenant.envdAccessToken, token) ? routeOf(sandbox) : undefined;
    },
    async wake(sandboxId) {
      if (isRunning(table.getTenants(sandboxId))) return;
      const wait =
        waking.get(sandboxId) ??
        wakeOnce(sandboxId).finally(() => {
          waking.delete(sandboxId);
        });
      waking.set(sandboxId, wait);
      await wait;
    },
    settled: async (sandboxId) => await table.alone(sandboxId, async () => await Promise.resolve()),
    enter: (sandboxId) => activity.enter(sandboxId),
    async dial(sandboxId, port) {
      const sandbox = table.find(sandboxId);
      const isDialable = sandbox !== undefined && (isRunning(sandbox) || isClaimed(sandbox));
      if (!isDialable) throw sandboxNotFound(sandboxId);
      return await sandbox.live.dial(port);
    },
    onGone(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    onOpened: () => () => undefined,
    async cutOff(sandboxId) {
      await Promise.all([...listeners].map(async (listener) => await listener(sandboxId)));
    },
    refresh: async () => await Promise.resolve(),
    routes: () => table.tenants().map(routeOf),
    onChange: (listener) => table.onChange(listener),
    isExpected(sandboxId) {
      const sandbox = table.find(sandboxId);
      return sandbox !== undefined && isClaimed(sandbox);
    },
    hasMetadata: (sandboxId, key) => table.find(sandboxId)?.record.tenant?.metadata[key] !== undefined,
  };
}

/**
 * A request during a step waits for the end of the step: after a snapshot or a resume the sandbox runs. After a pause
 * it must be resumed, which the settings of the sandbox allow or not.
 */
function routeOf(sandbox: TenantSandbox): SandboxRoute {
  const { sandboxId, state, tenant, saved, work, waitsForRoom } = sandbox.record;
  const { envdAccessToken, trafficAccessToken, network, lifecycle } = tenant;
  // As with E2B, a sandbox without saved memory, whose processes are gone, is resumed only by an explicit request.
  const hasMemory = saved?.hasMemory ?? work?.keepMemory ?? true;
  const comesBack = state === 'resuming' || (state === 'snapshotting' && !looksPaused(sandbox));
  return {
    sandboxId,
    state: isRunning(sandbox) ? 'running' : 'paused',
    comesBack,
    autoResume: comesBack || (lifecycle.autoResume && hasMemory),
    waitsForRoom: isRunning(sandbox) && waitsForRoom,
    countsVisits: lifecycle.idleTimeoutSeconds > 0,
    envdAccessToken: secretOrNone(envdAccessToken),
    trafficAccessToken: secretOrNone(trafficAccessToken),
    maskRequestHost: network.maskRequestHost === '' ? undefined : network.maskRequestHost,
    httpsPorts: network.httpsPorts ?? [],
  };
}
