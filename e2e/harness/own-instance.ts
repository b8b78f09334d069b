/** By vitest's worker. No file has one of these for itself (scripts/instances.test.ts). */
const instances = [2, 5];

/** The instance for the server of a test file, which no file that runs at the same time has. */
export function ownInstance(): number {
  const instance = instances[Number(process.env['VITEST_POOL_ID']) - 1];
  if (instance === undefined) throw new Error('There are more workers than instances for their servers.');
  return instance;
}
