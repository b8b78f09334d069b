import { constants } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { Secret, SoulBoxError } from '@soulbox/base';
import { headers } from '@soulbox/contract';
import { openRegular } from './sys/open-regular.ts';

/** Distinguishes the host's calls from all others. */
export interface HostGate {
  /** Whether this header value is the host's token. */
  isHost(header: string | string[] | undefined): Promise<boolean>;
}

/** Tokens have 32 characters. A file above this size is not ours. */
const maxTokenBytes = 1024;

/**
 * The driver puts the token into a file in the sandbox. The file is read at each call, because a copy of the sandbox
 * has another token: the source's token, which is in the copied memory, must not open the copy. If the file is gone,
 * the last token that was read stays valid, so that user code that empties /run does not lock the host out.
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

/** Undefined for anything else that root in the sandbox has put there. */
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
