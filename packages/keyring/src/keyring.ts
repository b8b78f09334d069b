import { Secret, SoulBoxError, systemClock } from '@soulbox/base';
import type { Clock } from '@soulbox/base';
import type { KeyringRecords } from '@soulbox/storage';
import { createDataKeyCache } from './data-key-cache.ts';
import { addDataKey, loadDataKey } from './data-keys.ts';
import { ensureMasterKey } from './ensure-master-key.ts';
import type { MasterKeySource } from './master-key.ts';
import type { Place } from './place.ts';
import { open, parseSealedText, seal } from './sealed-text.ts';

/** Encrypts values of the records, each for one place. Needs no lock: several processes may use one set of records. */
export interface Keyring extends Disposable {
  /** Throws `bad_request` for a value that is too long, `master_key_missing`. */
  seal(value: Secret, place: Place): Promise<string>;
  /** Throws `state_damaged` for a text that was altered or was not sealed for this place, `master_key_missing`. */
  open(sealed: string, place: Place): Promise<Secret>;
}

export interface KeyringOptions {
  readonly records: KeyringRecords;
  /** The first one creates the master key of new records. They belong to the caller. */
  readonly sources: readonly [MasterKeySource, ...MasterKeySource[]];
  readonly clock?: Clock;
  /**
   * The number of values that one data key encrypts. NIST SP 800-38D (8.3) allows 2^32 random nonces for a key; fewer
   * limit what one key reveals. Default: 2^20.
   */
  readonly valuesPerKey?: number;
  /** The number of data keys in memory. Default: 64. */
  readonly cachedKeys?: number;
  /** How long a data key stays in memory. Default: 5 minutes. Infinity: as long as the keyring. */
  readonly cacheMs?: number;
  /** So many values are reserved at once, so that not every value writes to the records. Default: 256. */
  readonly claimSize?: number;
}

/**
 * Opens the keyring, and creates the master key when the records have none. Throws `master_key_missing` when a master
 * key that the records need is lost or is another one.
 */
export async function openKeyring(options: KeyringOptions): Promise<Keyring> {
  const { records, sources, clock = systemClock } = options;
  const { valuesPerKey = 2 ** 20, cachedKeys = 64, cacheMs = 5 * 60_000, claimSize = 256 } = options;
  await ensureMasterKey(records, sources, clock.now());
  const cache = createDataKeyCache({ max: cachedKeys, lifeMs: cacheMs, clock });
  const takeUse = createUses(
    async (count) => {
      return (
        (await records.claimDataKey(count, valuesPerKey)) ?? (await addDataKey(records, sources, count, clock.now()))
      );
    },
    Math.min(claimSize, valuesPerKey),
  );

  return {
    async seal(value, place) {
      const id = await takeUse();
      return await cache.use(
        id,
        () => loadDataKey(records, sources, id),
        (key) => seal(key, id, value.reveal(), place),
      );
    },
    async open(sealed, place) {
      const parsed = parseSealedText(sealed);
      if (parsed === undefined) throw damaged(place);
      const id = parsed.dataKeyId;
      const load = (): Promise<Buffer> => loadDataKey(records, sources, id);
      const text = await cache.use(id, load, (key) => open(key, parsed, place));
      if (text === undefined) throw damaged(place);
      return new Secret(text);
    },
    [Symbol.dispose]() {
      cache[Symbol.dispose]();
    },
  };
}

/** Hands out the reserved uses of a data key one by one, and reserves more when they are used up. */
function createUses(claim: (count: number) => Promise<string>, size: number): () => Promise<string> {
  let id = '';
  let left = 0;
  let claiming: Promise<void> | undefined;
  const refill = async (): Promise<void> => {
    const claimed = await claim(size);
    id = claimed;
    left = size;
  };
  return async () => {
    while (left === 0) {
      claiming ??= refill().finally(() => (claiming = undefined));
      await claiming;
    }
    left--;
    return id;
  };
}

function damaged({ table, row, field }: Place): SoulBoxError {
  return new SoulBoxError(
    'state_damaged',
    `The secret ${field} of ${table} ${row} cannot be decrypted: it was altered, or belongs elsewhere. Set it again.`,
  );
}
