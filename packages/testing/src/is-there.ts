/**
 * For `skipIf`: whether this host has something that tests need. If it does not, the tests are skipped with a line that
 * the summary of the run repeats. In CI, which prepares its host first, that is a failure.
 */
export function isThere(what: string, found: boolean): boolean {
  if (found) return true;
  const { CI: ci = '' } = process.env;
  if (ci !== '' && ci !== 'false') throw new Error(`There is no ${what} here, and in CI no test is left out for that.`);
  // oxlint-disable-next-line no-console -- the summary of the run repeats it
  console.log(`skipped: there is no ${what} here`);
  return false;
}
