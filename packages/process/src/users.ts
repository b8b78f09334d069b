/** The parts that run as users of their own. */
export type UnprivilegedPart = 'gateway' | 'control' | 'egress' | 'ssh' | 'volumes' | 'buckets' | 'objects';

const numbers = {
  gateway: 1,
  control: 2,
  egress: 3,
  ssh: 4,
  volumes: 5,
  buckets: 6,
  objects: 7,
} as const satisfies Record<UnprivilegedPart, number>;
const idsPerInstance = 2 ** 28;

/**
 * The user and group id of a part. It is from the range that the instance has for its sandboxes, in which no sandbox
 * has slot 0. No other server uses it. The Debian package gives those of instance 0 names (deploy/debian/sysusers.conf).
 */
export function userOf(instance: number, part: UnprivilegedPart): number {
  return (instance + 1) * idsPerInstance + numbers[part];
}
