import { constantTimeEqual } from '@soulbox/base';
import { fileSignature } from '@soulbox/contract';
import type { SandboxRoute, SandboxRouter } from '@soulbox/contract';
import type { SandboxTable, TenantSandbox } from './table.ts';
import { isTenants, secretOrNone } from './table.ts';

/** The gateway's view of this host's sandboxes, and the switch that takes one out of it. */
export interface Router extends SandboxRouter {
  /** Tells the gateway that a sandbox is not served any more. */
  cutOff(sandboxId: string): void;
}

export function createRouter(table: SandboxTable): Router {
  const listeners = new Set<(sandboxId: string) => void>();
  return {
    find(sandboxId) {
      const sandbox = table.find(sandboxId);
      return sandbox !== undefined && isTenants(sandbox) ? routeOf(sandbox) : undefined;
    },
    findBySignature(request, signature) {
      // Tries every token, each in constant time: tens of microseconds for a full host.
      let found: TenantSandbox | undefined;
      for (const sandbox of table.running()) {
        const token = sandbox.record.tenant.envdAccessToken;
        if (token !== '' && constantTimeEqual(fileSignature(request, token), signature)) found = sandbox;
      }
      return found === undefined ? undefined : routeOf(found);
    },
    async wake(sandboxId) {
      await Promise.resolve(table.getRunning(sandboxId));
    },
    enter: () => ({ [Symbol.dispose]: () => undefined }),
    async dial(sandboxId, port) {
      return await table.getRunning(sandboxId).namespace.dial(port);
    },
    onGone(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    cutOff(sandboxId) {
      for (const listener of listeners) listener(sandboxId);
    },
  };
}

function routeOf({ record }: TenantSandbox): SandboxRoute {
  return {
    sandboxId: record.sandboxId,
    state: 'running',
    autoResume: false,
    envdAccessToken: secretOrNone(record.tenant.envdAccessToken),
    trafficAccessToken: secretOrNone(record.tenant.trafficAccessToken),
    maskRequestHost: record.tenant.network.maskRequestHost === '' ? undefined : record.tenant.network.maskRequestHost,
  };
}
