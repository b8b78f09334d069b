import type { SandboxUseReporter } from '@soulbox/contract/sandbox-use-service';
import type { ApiContext } from '../context.ts';

/** Counts in the audit logs how often envd of sandboxes was used directly. */
export function createUseRecorder({ records, trail }: ApiContext): SandboxUseReporter {
  return {
    async report(uses) {
      for (const { sandboxId, part, credential, count } of uses) {
        const sandbox = await records.sandboxes.find(sandboxId);
        if (sandbox === undefined) continue;
        trail.recordUse(
          {
            ...{ teamId: sandbox.teamId, action: `envd.${part}`, class: 'operation', scope: 'sandbox' },
            ...{ rule: credential, actor: { kind: 'token', id: credential } },
            ...{ target: { kind: 'sandbox', id: sandboxId }, result: { status: 'success', code: 0 } },
          },
          count,
        );
      }
    },
  };
}
