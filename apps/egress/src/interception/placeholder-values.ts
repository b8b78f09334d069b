import { Secret } from '@soulbox/base';
import type { Clock, Logger } from '@soulbox/base';
import type { EgressRecords } from '@soulbox/contract/egress-record-service';
import { isHeaderValue } from '@soulbox/egress-policies';
import { EgressRefusal } from '../judge/refusal.ts';
import type { PolicedSandbox } from '../policies/policed-sandbox.ts';

/** A new version of a secret is used after this time. Milliseconds. */
const lifeMs = 5000;
/** A failure is answered again without a question for this time. Milliseconds. */
const failureMs = 1000;
/** Sets of values in memory, of all sandboxes. */
const cachedMax = 1000;

/** The values of placeholders, which exist in this process for a few seconds only. */
export interface PlaceholderValues extends Disposable {
  /**
   * `host`: that of the rule, possibly `*.domain`. The sandbox chooses the names below it, and each question is a record
   * in the audit log of its team. Throws `EgressRefusal` with `placeholder_failed`.
   */
  resolve(sandbox: PolicedSandbox, host: string, placeholders: readonly string[]): Promise<ReadonlyMap<string, Secret>>;
}

export function createPlaceholderValues(
  ask: EgressRecords['resolve'],
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
): PlaceholderValues {
  const cache = new Map<string, { readonly values: Promise<ReadonlyMap<string, Secret>>; readonly endsAt: number }>();

  const load = async (sandbox: PolicedSandbox, host: string, placeholders: readonly string[]) => {
    const { sandboxId, teamId, identityTokens } = sandbox;
    const answered = await ask({ sandboxId, teamId, placeholders, host, identityTokens });
    return new Map(placeholders.map((placeholder) => [placeholder, valueOf(answered, placeholder)]));
  };
  const dropOld = (): void => {
    for (const [key, { endsAt }] of cache) {
      if (clock.now() < endsAt && cache.size <= cachedMax) return;
      cache.delete(key);
    }
  };
  // Nothing else removes values that no request asks for any more.
  const timer = setInterval(dropOld, lifeMs).unref();

  return {
    async resolve(sandbox, host, placeholders) {
      if (placeholders.length === 0) return new Map();
      const { sandboxId, teamId, identityTokens } = sandbox;
      const key = JSON.stringify([sandboxId, teamId, host, placeholders, identityTokens]);
      dropOld();
      const found = cache.get(key);
      const known = found !== undefined && clock.now() < found.endsAt ? found : undefined;
      const used = known ?? { values: load(sandbox, host, placeholders), endsAt: clock.now() + lifeMs };
      if (known === undefined) {
        // The oldest comes first.
        cache.delete(key);
        cache.set(key, used);
      }
      try {
        return await used.values;
      } catch (err) {
        if (known === undefined) {
          const endsAt = clock.now() + failureMs;
          if (cache.get(key) === used) cache.set(key, { ...used, endsAt });
          logger.warn({ err, sandboxId, host }, 'a placeholder could not be resolved');
        }
        throw new EgressRefusal('placeholder_failed', { cause: err });
      }
    },
    [Symbol.dispose]() {
      clearInterval(timer);
      cache.clear();
    },
  };
}

function valueOf(answered: Readonly<Record<string, string>>, placeholder: string): Secret {
  const value = Object.hasOwn(answered, placeholder) ? (answered[placeholder] ?? '') : '';
  // A line feed in a value would begin another header.
  if (value === '' || !isHeaderValue(value)) throw new Error(`the value of ${placeholder} cannot be in a header`);
  return new Secret(value);
}
