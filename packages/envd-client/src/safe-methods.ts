import type { DescMethod } from '@bufbuild/protobuf';
import { Filesystem } from '@soulbox/contract/filesystem';
import { Process } from '@soulbox/contract/process';

/** E2B's protocol does not declare which of its methods change nothing. */
const safeMethods: ReadonlySet<DescMethod> = new Set<DescMethod>([
  ...[Filesystem.method.stat, Filesystem.method.listDir, Process.method.list],
]);

export function isSafeToRepeat(method: DescMethod): boolean {
  return safeMethods.has(method);
}
