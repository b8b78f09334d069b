import process from 'node:process';

/** The tenant's own, which code reads and writes as it likes. */
// eslint-disable-next-line no-restricted-properties -- nothing of it configures us
export const environment = process.env;
