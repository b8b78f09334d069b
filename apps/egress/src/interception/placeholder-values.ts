import { Secret, SoulBoxError } from '@soulbox/base';
import type { Clock, Logger } from '@soulbox/base';
import type { EgressRecords } from '@soulbox/contract/egress-record-service';
import { isHeaderValue } from '@soulbox/egress-policies';
import { EgressRefusal } from '../judge/refusal.ts';
import type { PolicedSandbox } from '../policies/policed-sandbox.ts';

/** A new version of a secret is used after this time, on a connection that is kept. Milliseconds. */
const lifeMs = 5000;
/** A failure is answered again without a question for this time. Milliseconds. */
const failureMs = 1000;
/** Sets of values of one connection. There are several only if the policy changes meanwhile. */
const setsMax = 4;
/** Failures of all sandboxes together are logged once in this time: sandboxes can cause any number. Milliseconds. */
const warnEveryMs = 1000;

export interface PlaceholderValues {
  /** The values for one connection, to a host in the form of `normalizeName`. */
  open(name: string): ConnectionValues;
}

/**
 * The values of placeholders for one connection, which exist in this process for a few seconds only. No other connection
 * uses them: control judges for each whether a secret may go to its host, so a change of that is in effect for the next
 * one.
 */
export interface ConnectionValues extends Disposable {
  /** Throws `EgressRefusal` with `placeholder_failed` or `secret_host_refused`. */
  resolve(sandbox: PolicedSandbox, placeholders: readonly string[]): Promise<ReadonlyMap<string, Secret>>;
}

export function createPlaceholderValues(
  ask: EgressRecords['resolve'],
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
): PlaceholderValues {
  let quietUntil = 0;
  const warn = (err: unknown, sandboxId: string): void => {
    if (clock.now() < quietUntil) return;
    quietUntil = clock.now() + warnEveryMs;
    logger.warn({ err, sandboxId }, 'a placeholder could not be resolved');
  };

  const open = (name: string): ConnectionValues => {
    const sets = new Map<string, { readonly values: Promise<ReadonlyMap<string, Secret>>; readonly endsAt: number }>();
    const load = async (sandbox: PolicedSandbox, placeholders: readonly string[]) => {
      const { sandboxId, teamId, identityTokens } = sandbox;
      const answered = await ask({ sandboxId, teamId, placeholders, name, identityTokens });
      return new Map(placeholders.map((placeholder) => [placeholder, valueOf(answered, placeholder)]));
    };
    const dropOld = (): void => {
      for (const [key, { endsAt }] of sets) {
        // The oldest comes first.
        if (clock.now() < endsAt && sets.size <= setsMax) return;
        sets.delete(key);
      }
    };
    // Nothing else removes values that no request asks for any more.
    const timer = setInterval(dropOld, lifeMs).unref();

    return {
      async resolve(sandbox, placeholders) {
        if (placeholders.length === 0) return new Map();
        const key = JSON.stringify([placeholders, sandbox.identityTokens]);
        dropOld();
        const found = sets.get(key);
        const known = found !== undefined && clock.now() < found.endsAt ? found : undefined;
        const used = known ?? { values: load(sandbox, placeholders), endsAt: clock.now() + lifeMs };
        if (known === undefined) {
          sets.delete(key);
          sets.set(key, used);
        }
        try {
          return await used.values;
        } catch (err) {
          if (known === undefined) {
            if (sets.get(key) === used) sets.set(key, { ...used, endsAt: clock.now() + failureMs });
            warn(err, sandbox.sandboxId);
          }
          const isHost = err instanceof SoulBoxError && err.reason === 'secret_host_refused';
          throw new EgressRefusal(isHost ? 'secret_host_refused' : 'placeholder_failed', { cause: err });
        }
      },
      [Symbol.dispose]() {
        clearInterval(timer);
        sets.clear();
      },
    };
  };
  return { open };
}

function valueOf(answered: Readonly<Record<string, string>>, placeholder: string): Secret {
  const value = Object.hasOwn(answered, placeholder) ? (answered[placeholder] ?? '') : '';
  // A line feed in a value would begin another header.
  if (value === '' || !isHeaderValue(value)) throw new Error(`the value of ${placeholder} cannot be in a header`);
  return new Secret(value);
}
