import type { EgressReason } from '@soulbox/contract';

/** The decision about one connection, look-up or request. */
export type Verdict =
  | {
      readonly isAllowed: true;
      /** The entry of the policy that decided, as its creator wrote it. Empty: the default applied. */
      readonly rule: string;
    }
  | { readonly isAllowed: false; readonly rule: string; readonly reason: EgressReason };
