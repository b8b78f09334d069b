import { SoulBoxError } from '@soulbox/base';
import { parseSandboxId } from '@soulbox/contract';
import type { SandboxPosition } from '@soulbox/storage';

/** E2B's form: base64url of `<RFC 3339 time>__<id>`, followed by `__asc` for an ascending list. */
export function tokenFromPosition(position: SandboxPosition, order: 'asc' | 'desc'): string {
  const text = `${new Date(position.startedAt).toISOString()}__${position.id}${order === 'asc' ? '__asc' : ''}`;
  return Buffer.from(text).toString('base64url');
}

const tokenForm = /^(\d{4}-\d\d-\d\dT[\d:.]{8,18}Z)__([a-z0-9]+)(__asc)?$/;

/** Throws `bad_request`, with E2B's text, for anything but a token of a list in this order. */
export function positionFromToken(token: string, order: 'asc' | 'desc'): SandboxPosition {
  const text = token.length > 256 ? '' : Buffer.from(token, 'base64url').toString('latin1');
  const [, time = '', idText = '', ascending] = tokenForm.exec(text) ?? [];
  const startedAt = Date.parse(time);
  const id = parseSandboxId(idText);
  if (Number.isNaN(startedAt) || id === undefined || (ascending !== undefined) !== (order === 'asc'))
    throw new SoulBoxError('bad_request', 'Invalid next token');
  return { startedAt, id };
}
