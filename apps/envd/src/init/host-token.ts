import { readFile } from 'node:fs/promises';
import { Secret } from '@soulbox/base';

/** Tells the host's calls from everybody else's. */
export interface HostGate {
  /** Whether this header value is the host's token. */
  isHost(header: string | string[] | undefined): Promise<boolean>;
}

/**
 * The token stands in a file that the driver puts into the sandbox. It is kept once read, so that user code which empties
 * /run does not lock the host out, and read again on a mismatch, because a fork or a resume brings a new one.
 */
export function createHostGate(path: string): HostGate {
  let known: Secret | undefined;
  return {
    async isHost(header) {
      if (typeof header !== 'string' || header === '') return false;
      if (known?.equals(header) === true) return true;
      known = (await readToken(path)) ?? known;
      return known?.equals(header) === true;
    },
  };
}

async function readToken(path: string): Promise<Secret | undefined> {
  try {
    const text = (await readFile(path, 'utf8')).trim();
    return text === '' ? undefined : new Secret(text);
  } catch {
    return undefined;
  }
}
