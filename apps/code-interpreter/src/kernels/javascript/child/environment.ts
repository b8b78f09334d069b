import process from 'node:process';

/** The tenant's environment. Code may read and write it freely. */
// eslint-disable-next-line no-restricted-properties -- nothing of it configures us
export const environment = process.env;
