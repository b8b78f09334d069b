import { randomId } from '@soulbox/base';

/** `i` and 20 of `[a-z0-9]`: no dash, because the gateway splits host names on it. */
export function createSandboxId(): string {
  return `i${randomId(20)}`;
}

const sandboxIdForm = /^[a-z0-9]{1,64}$/;

/** Accepts the old form `<id>-<clientID>` too and drops the suffix; gives undefined for anything else. */
export function parseSandboxId(text: string): string | undefined {
  const [id = '', ...rest] = text.split('-');
  if (rest.length > 1 || !sandboxIdForm.test(id)) return undefined;
  return id;
}
