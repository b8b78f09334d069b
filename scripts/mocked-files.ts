/**
 * Unit test files that replace modules (`vi.mock`). Vitest then has to load everything for them itself, which takes
 * several times as long as Node's own loader.
 */
export const mockedFiles: readonly string[] = [
  'apps/api/src/webhooks/names.test.ts',
  'packages/isolation/src/container/pager/poll-set.test.ts',
  'packages/isolation/src/container/pager/user-fault.test.ts',
  'packages/isolation/src/gvisor/freeze.test.ts',
];
