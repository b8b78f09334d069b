import type { ArrivingBlocks } from '@soulbox/isolation';

/**
 * Blocks of saved memory as `PART:INDEX`. A record keeps them in this form: the places of parts in a parcel may differ after
 * another upload.
 */

/** Those that the parcel does not have are left out. */
export function chunksOfBlocks({ first, count }: ArrivingBlocks, names: readonly string[]): number[] {
  return names.flatMap((name) => {
    const [part = '', index = ''] = name.split(':');
    const start = Object.hasOwn(first, part) ? first[part] : undefined;
    const at = start === undefined ? NaN : start + Number(index);
    return Number.isSafeInteger(at) && at < count ? [at] : [];
  });
}

export function blocksOfChunks({ first }: ArrivingBlocks, chunks: readonly number[]): string[] {
  const parts = Object.entries(first).sort(([, one], [, other]) => other - one);
  return chunks.flatMap((at) => {
    const part = parts.find(([, start]) => start <= at);
    return part === undefined ? [] : [`${part[0]}:${at - part[1]}`];
  });
}
