import { SoulBoxError } from '@soulbox/base';
import type { TerminalSize } from '../sys/pseudo-terminal.ts';

/** The kernel stores 16 bits for each dimension. */
const maxCells = 65_535;

/** A size as in both process protocols. */
interface RequestedSize {
  readonly size?: { readonly cols: number; readonly rows: number } | undefined;
}

/** Throws bad_request for a size that no terminal can have. */
export function parseTerminalSize({ size }: RequestedSize): TerminalSize {
  const { cols, rows } = size ?? { cols: 0, rows: 0 };
  if (cols > maxCells || rows > maxCells) {
    throw new SoulBoxError('bad_request', `A terminal can have at most ${maxCells} columns and rows.`);
  }
  return { cols, rows };
}
