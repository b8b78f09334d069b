import { constants } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { Secret, SoulBoxError } from '@soulbox/base';
import { headers } from '@soulbox/contract';
import { openRegular } from './sys/open-regular.ts';

/** Tells the host's calls from everybody else's. */
export interface HostGate {
  /** Whether this header value is the host's token. */
  isHost(header: string | string[] | undefined): Promise<boolean>;
}

/** Tokens are 32 characters; a file above this is none of ours. */
const maxTokenBytes = 1024;

/**
 * The token stands in a file that the driver puts into the sandbox. It is read at each call, because a copy of the sandbox
 * has another one, and the source's, which stands in the copied memory, must not open it. The last one read counts where
 * the file is gone, so that user code which empties /run does not lock the host out.
 */
export function createHostGate(path: string): HostGate {
  let known: Secret | undefined;
  return {
    async isHost(header) {
      if (typeof header !== 'string' || header === '') return false;
      known = (await readToken(path)) ?? known;
      return known?.equals(header) === true;
    },
  };
}

/** Throws unauthorized unless the caller is the host. */
export async function checkHost(gate: HostGate, request: IncomingMessage): Promise<void> {
  if (await gate.isHost(request.headers[headers.hostToken])) return;
  throw new SoulBoxError('unauthorized', 'Only the host can make this call.');
}

/** Undefined for whatever else root in the sandbox has put there. */
async function readToken(path: string): Promise<Secret | undefined> {
  try {
    const { file } = await openRegular(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    await using opened = file;
    const { bytesRead, buffer } = await opened.read(Buffer.alloc(maxTokenBytes), 0, maxTokenBytes, 0);
    const text = buffer.subarray(0, bytesRead).toString('utf8').trim();
    return text === '' ? undefined : new Secret(text);
  } catch {
    return undefined;
  }
}
