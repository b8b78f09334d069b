import type { OperationContext } from '../operations/operation-context.ts';
import type { Router } from '../serve/router.ts';
import type { DependencyCache } from './dependency-cache.ts';

/** What a run uses. */
export interface RunContext extends Pick<OperationContext, 'table' | 'activity' | 'logBook'> {
  readonly router: Pick<Router, 'wake' | 'onGone'>;
  /** Undefined: this server keeps none. */
  readonly dependencies: DependencyCache | undefined;
}
