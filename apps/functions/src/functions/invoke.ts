import type { FunctionAnswer, FunctionCall } from '@soulbox/contract/function-service';
import type { FunctionsContext } from '../context.ts';
import { callPort } from '../sandboxes/call-port.ts';
import type { ServingSandboxes } from '../sandboxes/serving.ts';
import { getOwn } from '../definitions/find.ts';

/** Limit of a response, which is passed on inside JSON. */
const maxAnswerBytes = 6 * 1024 * 1024;
/** Added to the function's own time limit, for its start. */
const graceMs = 15_000;
/** The host name that the function sees, because the caller used none. */
const hostName = 'function.invoke';

/** Sends one request through the control plane, with both bodies in memory. */
export async function invoke(
  context: FunctionsContext,
  serving: ServingSandboxes,
  teamId: string,
  name: string,
  call: FunctionCall,
): Promise<FunctionAnswer> {
  const record = await getOwn(context, teamId, name);
  const { sandboxId, port } = await serving.open(name);
  using _open = context.router.enter(sandboxId);
  await context.router.wake(sandboxId);
  const { status, rawHeaders, body } = await callPort(await context.router.dial(sandboxId, port), {
    method: call.method,
    path: call.path,
    headers: { ...call.headers, host: hostName },
    ...(call.body.length === 0 ? {} : { body: call.body }),
    timeoutMs: record.limits.requestTimeoutMs + graceMs,
    maxAnswerBytes,
  });
  return { status, headers: withoutConnection(rawHeaders), body };
}

function withoutConnection(raw: readonly string[]): [string, string][] {
  const result: [string, string][] = [];
  for (let index = 0; index < raw.length; index += 2) {
    const name = (raw[index] ?? '').toLowerCase();
    if (!['connection', 'keep-alive', 'transfer-encoding'].includes(name)) result.push([name, raw[index + 1] ?? '']);
  }
  return result;
}
