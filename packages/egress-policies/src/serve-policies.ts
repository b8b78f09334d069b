import type { ConnectRouter } from '@connectrpc/connect';
import { errorFromUnknown } from '@soulbox/base';
import { connectErrorFromError } from '@soulbox/contract/connect-errors';
import { EgressService } from '@soulbox/contract/egress';
import type { SandboxUsage as WireUsage } from '@soulbox/contract/egress';
import type { PolicyFeed, SandboxUsage } from './policy-feed.ts';

/** Sandboxes whose counts one call reports. A host has room for fewer, so more come only from a process that is not ours. */
const usagesMax = 10_000;

/** Serves the policies for the egress process. */
export function addPolicyRoutes(router: ConnectRouter, feed: PolicyFeed): void {
  router.service(EgressService, {
    async *watchPolicies(_request, { signal }) {
      try {
        yield* feed.watch(signal);
      } catch (thrown) {
        throw connectErrorFromError(errorFromUnknown(thrown));
      }
    },
    confirmPolicies({ position, usages }) {
      feed.confirm(position, usages.slice(0, usagesMax).map(usageFromWire));
      return {};
    },
  });
}

/** Larger counts would lose their last digits as a number, and one of them might not fit into the message of a policy. */
function usageFromWire({ sandboxId, generation, bytes }: WireUsage): SandboxUsage {
  const most = BigInt(Number.MAX_SAFE_INTEGER);
  return { sandboxId, generation, bytes: Number(bytes < most ? bytes : most) };
}
