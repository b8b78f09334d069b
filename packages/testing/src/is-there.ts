/**
 * For `skipIf`: whether something that tests need is on this host. Where it is not, they are left out with a word that the summary
 * of the run repeats; in CI, which prepares its host first, that is a failure.
 */
export function isThere(what: string, found: boolean): boolean {
  if (found) return true;
  const { CI: ci = '' } = process.env;
  if (ci !== '' && ci !== 'false') throw new Error(`There is no ${what} here, and in CI no test is left out for that.`);
  // eslint-disable-next-line no-console -- the summary of the run repeats it
  console.log(`skipped: there is no ${what} here`);
  return false;
}
