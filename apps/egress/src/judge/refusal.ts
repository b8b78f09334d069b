import { egressReasons } from '@soulbox/contract';
import type { EgressReason } from '@soulbox/contract';

/** A connection or request of a sandbox that is refused, or ends before its time. */
export class EgressRefusal extends Error {
  readonly reason: EgressReason;

  constructor(reason: EgressReason, options?: ErrorOptions) {
    super(egressReasons[reason], options);
    this.reason = reason;
  }
}
