import { UsageError } from '../command-line/usage-error.ts';

/** Ctrl-P, Ctrl-Q. */
export const defaultDetachKeys = 'ctrl-p,ctrl-q';
const keysMax = 8;
/** How long the beginning of the sequence waits for the rest, so that Ctrl-P alone still arrives. Milliseconds. */
const holdMs = 500;

/**
 * Parses keys such as `ctrl-p,ctrl-q` or `ctrl-a,d` into bytes. `none`: no keys. Throws UsageError.
 */
export function parseDetachKeys(text: string | undefined): Uint8Array {
  if (text === 'none') return new Uint8Array();
  const keys = (text ?? defaultDetachKeys).split(',').map(byteOf);
  if (keys.length > keysMax || keys.some((key) => key === undefined))
    throw new UsageError(
      `--detach-keys must be none, or up to ${keysMax} keys such as ${defaultDetachKeys} or ctrl-a,d, not ${JSON.stringify(text)}.`,
    );
  return Uint8Array.from(keys as number[]);
}

function byteOf(key: string): number | undefined {
  const control = /^ctrl-([a-z@[\\\]^_])$/.exec(key)?.[1];
  if (control !== undefined) return control.toUpperCase().charCodeAt(0) & 0x1f;
  return /^[\x21-\x7e]$/.test(key) ? key.charCodeAt(0) : undefined;
}

export interface DetachFilter extends Disposable {
  /** Takes what was typed. */
  type(bytes: Uint8Array): void;
  /** Passes what it holds back. */
  flush(): void;
}

/** Passes what is typed on to `pass`, until the keys were typed. Then it calls `detach`, and passes nothing more. */
export function createDetachFilter(
  keys: Uint8Array,
  { pass, detach }: { readonly pass: (bytes: Uint8Array) => void; readonly detach: () => void },
): DetachFilter {
  /** How many of the keys were typed, and are held back. */
  let held = 0;
  let isDetached = false;
  let timer: NodeJS.Timeout | undefined;
  const flush = (): void => {
    clearTimeout(timer);
    if (held > 0 && !isDetached) pass(keys.slice(0, held));
    held = 0;
  };
  return {
    type(bytes) {
      if (isDetached) return;
      clearTimeout(timer);
      const passed: number[] = [];
      for (const byte of bytes) {
        if (isDetached) break;
        // Keys that do not continue the sequence may begin it.
        while (held > 0 && byte !== keys[held]) {
          const kept = stillHeld(keys, held);
          passed.push(...keys.slice(0, held - kept));
          held = kept;
        }
        if (byte === keys[held]) held += 1;
        else passed.push(byte);
        isDetached = held > 0 && held === keys.length;
      }
      if (passed.length > 0) pass(Uint8Array.from(passed));
      if (isDetached) detach();
      else if (held > 0) timer = setTimeout(flush, holdMs);
    },
    flush,
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}

/** How many of the last of `held` keys, but not all of them, are the beginning of the keys. */
function stillHeld(keys: Uint8Array, held: number): number {
  for (let length = held - 1; length > 0; length -= 1) {
    if (keys.slice(held - length, held).every((byte, at) => byte === keys[at])) return length;
  }
  return 0;
}
