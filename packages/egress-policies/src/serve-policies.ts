import type { ConnectRouter } from '@connectrpc/connect';
import { errorFromUnknown } from '@soulbox/base';
import { connectErrorFromError } from '@soulbox/contract';
import { EgressService } from '@soulbox/contract/egress';
import type { PolicyFeed } from './policy-feed.ts';

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
      feed.confirm(
        position,
        usages.map(({ sandboxId, generation, bytes }) => ({ sandboxId, generation, bytes: Number(bytes) })),
      );
      return {};
    },
  });
}
