import { SoulBoxError } from '@soulbox/base';
import { findPlaceholder, parseTemplate } from '@soulbox/egress-policies';
import type { Caller } from '../auth/caller.ts';
import type { NetworkUpdate } from './network-schema.ts';

/**
 * Throws `scope_missing` for a key that is restricted to templates, if a rule names a secret. Secrets belong to the team,
 * and whoever chooses the host of a rule can learn the value there.
 */
export function permitSecrets({ templates }: Pick<Caller, 'templates'>, rules: NetworkUpdate['rules'] = {}): void {
  if (templates.length === 0) return;
  const values = Object.values(rules).flatMap((list) =>
    list.flatMap(({ transform }) => Object.values(transform?.headers ?? {})),
  );
  if (!values.some(namesSecret)) return;
  throw new SoulBoxError(
    'scope_missing',
    'The API key is restricted to templates and cannot use secrets of the team in rules.',
  );
}

function namesSecret(value: string): boolean {
  return parseTemplate(value).some(
    (part) => part.kind === 'placeholder' && findPlaceholder(part.name)?.kind === 'secret',
  );
}
