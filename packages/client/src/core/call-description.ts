import type { DescMethod } from '@bufbuild/protobuf';

/** What decides whether a call may be made again. */
export interface CallDescription {
  /** For events, for example `GET /sandboxes` or `process.Process/List`. */
  readonly name: string;
  /** The call may take effect twice without harm, by its method or because it carries an idempotency key. */
  readonly isSafeToRepeat: boolean;
}

/**
 * Methods whose repetition changes nothing (RFC 9110, 9.2.2). DELETE is not among them: its repetition is answered with
 * 404, which says that there was nothing to delete.
 */
const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT']);

export function describeRequest(method: string, path: string, idempotencyKey?: string): CallDescription {
  const isSafeToRepeat = safeMethods.has(method) || (idempotencyKey ?? '') !== '';
  return { name: `${method} ${path.split('?', 1)[0] ?? ''}`, isSafeToRepeat };
}

/** `IDEMPOTENCY_UNKNOWN`. Not imported, because that would load the descriptors of all well-known types. */
const undeclared = 0;

/** Reads `idempotency_level` of the method's options. */
export function describeMethod(method: DescMethod, idempotencyKey?: string | null): CallDescription {
  const isDeclared = (method.idempotency as number) !== undeclared;
  const isSafeToRepeat = isDeclared || (idempotencyKey ?? '') !== '';
  return { name: `${method.parent.typeName}/${method.name}`, isSafeToRepeat };
}
