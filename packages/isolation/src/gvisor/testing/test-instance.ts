/** The instance number of the tests in this folder; no developer's server should have it. */
export const testInstance = 9;
