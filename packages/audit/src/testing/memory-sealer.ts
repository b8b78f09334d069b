import type { SubjectKeySealer } from '../seal.ts';
import { Secret, SoulBoxError } from '@soulbox/base';

/** Keeps what it seals in memory, each for its place. The keyring of a server does this with encryption. */
export function memorySealer(): SubjectKeySealer {
  const values: { readonly value: Secret; readonly place: string }[] = [];
  return {
    seal: (value, place) => Promise.resolve(String(values.push({ value, place: JSON.stringify(place) }) - 1)),
    open: async (sealed, place) => {
      const found = values[Number(sealed)];
      if (found?.place !== JSON.stringify(place)) throw new SoulBoxError('state_damaged', 'It belongs elsewhere.');
      return await Promise.resolve(new Secret(found.value.reveal()));
    },
  };
}
