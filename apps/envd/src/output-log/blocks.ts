/** Positions within standard output, standard errors and terminal. */
export type StreamPositions = [number, number, number];

/** A run of complete records. */
export interface Block {
  /** The place of its first byte. */
  readonly place: number;
  /** Stored bytes. */
  length: number;
  /** The position of its first output. */
  readonly position: number;
  outputBytes: number;
  /** Those of its first output. */
  readonly streamPositions: Readonly<StreamPositions>;
  /** Undefined: in the file. */
  bytes: Buffer | undefined;
}

/** The block with the place or the position. Undefined before the first and after the last. */
export function findBlock(blocks: readonly Block[], by: 'position' | 'place', value: number): Block | undefined {
  let low = 0;
  let high = blocks.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((blocks[middle]?.[by] ?? Infinity) <= value) low = middle + 1;
    else high = middle;
  }
  const found = blocks[low - 1];
  if (found === undefined) return undefined;
  const length = by === 'place' ? found.length : found.outputBytes;
  return value < found[by] + length ? found : undefined;
}
