import { parseSandboxId } from '../ids.ts';

const form = /^\/sandboxes-http\/([1-9]\d{0,4})-([a-z0-9-]{1,64})(?=\/)(.*)$/;

/** A port of a sandbox, named by the path of a URL, and the path that its program sees. */
export interface PortPath {
  readonly sandboxId: string;
  readonly port: number;
  readonly path: string;
}

/**
 * Parses `/sandboxes-http/<port>-<id>/<path>`, which reaches a port at the host name of the API, without wildcard DNS.
 * Only signed requests may use it. The query stays part of the path. Undefined for every other path.
 */
export function findPortPath(target: string): PortPath | undefined {
  const [, port = '', id = '', path = ''] = form.exec(target) ?? [];
  const sandboxId = parseSandboxId(id);
  if (sandboxId === undefined || Number(port) > 65_535 || port === '') return undefined;
  return { sandboxId, port: Number(port), path };
}
