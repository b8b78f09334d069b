import type * as x509 from '@peculiar/x509';

/**
 * Loads the X.509 library, 250 files, at the first use: most processes that import this package never make a certificate.
 * A process that gives up its view of the file system calls it before.
 */
export async function loadX509(): Promise<typeof x509> {
  return await import('@peculiar/x509');
}
