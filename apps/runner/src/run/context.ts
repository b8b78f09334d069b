import type { OperationContext } from '../operations/operation-context.ts';
import type { SandboxRouter } from '@soulbox/contract';
import type { DependencyCache } from './dependency-cache.ts';

/** The parts of the runner that a run uses. */
export interface RunContext extends Pick<OperationContext, 'table' | 'activity' | 'logBook'> {
  readonly router: Pick<SandboxRouter, 'wake' | 'onGone'>;
  /** Undefined: this server caches no dependencies. */
  readonly dependencies: DependencyCache | undefined;
}
