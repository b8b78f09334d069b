import { createHostPolicy } from '@soulbox/network/outside';
import type { HostPolicy, OutsidePolicy } from '@soulbox/network/outside';

/** Decides which targets webhooks may have. */
export type TargetPolicy = HostPolicy;

/** `allowed` contains the operator's exceptions to `outside`. */
export const createTargetPolicy = (allowed: readonly string[], outside: OutsidePolicy): TargetPolicy =>
  createHostPolicy(allowed, outside, 'SOULBOX_WEBHOOK_ALLOW_PRIVATE names those that webhooks may reach.');
