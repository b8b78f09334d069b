import { randomId } from '@soulbox/base';

/** `i` and 20 characters of `[a-z0-9]`. No dash, because the gateway splits host names at dashes. */
export function createSandboxId(): string {
  return `i${randomId(20)}`;
}

const sandboxIdForm = /^[a-z0-9]{1,64}$/;

/** Also accepts the old form `<id>-<clientID>` and drops the suffix. Returns undefined for anything else. */
export function parseSandboxId(text: string): string | undefined {
  const [id = '', ...rest] = text.split('-');
  if (rest.length > 1 || !sandboxIdForm.test(id)) return undefined;
  return id;
}
