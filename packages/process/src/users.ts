/** Parts that run as users of their own. */
export type UnprivilegedPart = 'gateway' | 'control';

const numbers = { gateway: 1, control: 2 } as const satisfies Record<UnprivilegedPart, number>;
const idsPerInstance = 2 ** 28;

/**
 * User and group id of a part: from the range that the instance has for its sandboxes, of which slot 0 is no sandbox's. No account of
 * the host has it, and no other server.
 */
export function userOf(instance: number, part: UnprivilegedPart): number {
  return (instance + 1) * idsPerInstance + numbers[part];
}
