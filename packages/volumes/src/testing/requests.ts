import type { FuseContext } from '@soulbox/fuse';

/** A request as the session makes it, without a kernel. */
export function createRequests(): (caller?: Partial<FuseContext>) => FuseContext {
  let unique = 0;
  return (caller = {}) => {
    unique += 2;
    return {
      ...{ uid: 0, gid: 0, pid: 1, unique, isResent: false, signal: new AbortController().signal },
      encodeReply: (value) => Buffer.from(JSON.stringify(value ?? null)),
      ...caller,
    };
  };
}
