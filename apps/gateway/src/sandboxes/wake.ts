import { serveCall } from '@soulbox/base';
import type { Logger, TraceContext } from '@soulbox/base';
import type { SandboxRouter } from '@soulbox/contract';
import type { EdgeError } from '../errors/edge-error.ts';
import { wakeFailed, wakeTooSlow } from '../errors/wake-error.ts';

/**
 * Waits until a paused sandbox can be dialled, or with `settled` only until the current operation is over. Waits for at
 * most `timeoutMs`; after that the wake continues, but nobody waits for it. Returns undefined on success, otherwise the
 * error for the client. Never throws. With the context of the request's trace, the resume is a part of that trace.
 */
export async function wakeSandbox(
  router: SandboxRouter,
  sandboxId: string,
  options: { how: 'wake' | 'settled'; timeoutMs: number; logger: Logger; trace?: TraceContext | undefined },
): Promise<EdgeError | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const tooSlow = new Promise<EdgeError>((resolve) => {
    timer = setTimeout(() => resolve(wakeTooSlow(sandboxId)), options.timeoutMs);
  });
  const { how, trace } = options;
  // The process that resumes it records the spans; this one only passes the context on.
  const call = { name: how, requestId: undefined, parent: trace };
  const asked =
    trace === undefined ? router[how](sandboxId) : serveCall(call, async () => await router[how](sandboxId));
  const woken = asked.then(
    () => undefined,
    (error: unknown) => {
      options.logger.warn({ sandboxId, err: error }, 'request could not resume the sandbox');
      return wakeFailed(sandboxId, error);
    },
  );
  try {
    return await Promise.race([woken, tooSlow]);
  } finally {
    clearTimeout(timer);
  }
}
