import { inspect } from 'node:util';
import type { DisplayBundle } from '../protocol.ts';

/** Objects that can show themselves have this method, as in Deno's kernel. It returns a bundle. */
const showOwn = Symbol.for('Jupyter.display');

const shortNames = {
  text: 'text/plain',
  html: 'text/html',
  markdown: 'text/markdown',
  md: 'text/markdown',
  svg: 'image/svg+xml',
  png: 'image/png',
  jpeg: 'image/jpeg',
  pdf: 'application/pdf',
  latex: 'text/latex',
  json: 'application/json',
  javascript: 'application/javascript',
} as const;

const imageSignatures: readonly (readonly [string, string])[] = [
  ['89504e47', 'image/png'],
  ['ffd8ff', 'image/jpeg'],
  ['25504446', 'application/pdf'],
];

export type Display = ((value: unknown) => void) & Readonly<Record<string, (value: unknown) => void>>;

/** `display(value)`, `display.html(text)`, `display.png(buffer or base64)` and so on, `display.mime(bundle)`. */
export function createDisplay(show: (bundle: DisplayBundle) => void): Display {
  const display = (value: unknown): void => show(bundleOf(value));
  const byName = Object.entries(shortNames).map(([name, type]) => [
    name,
    (value: unknown) => show({ [type]: type === 'application/json' ? value : textOf(value) }),
  ]);
  const mime = (bundle: Record<string, unknown>): void =>
    show(Object.fromEntries(Object.entries(bundle).map(([type, value]) => [type, textOf(value)])));
  return Object.assign(display, Object.fromEntries(byName), { mime }) as Display;
}

/** A value's representations: its own if it has them, otherwise text, plus an image or JSON where possible. */
export function bundleOf(value: unknown): DisplayBundle {
  const own = ownBundle(value);
  if (own !== undefined) return own;
  const image = imageOf(value);
  const text = typeof value === 'string' ? inspect(value, { maxStringLength: null }) : inspect(value, { depth: 4 });
  return { 'text/plain': text, ...image, ...jsonOf(value) };
}

function ownBundle(value: unknown): DisplayBundle | undefined {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return undefined;
  const show = (value as Record<symbol, unknown>)[showOwn];
  if (typeof show !== 'function') return undefined;
  const bundle: unknown = show.call(value);
  return typeof bundle === 'object' && bundle !== null ? (bundle as DisplayBundle) : undefined;
}

function imageOf(value: unknown): DisplayBundle {
  if (!(value instanceof Uint8Array)) return {};
  const head = Buffer.from(value.buffer, value.byteOffset, Math.min(4, value.byteLength)).toString('hex');
  const found = imageSignatures.find(([signature]) => head.startsWith(signature));
  return found === undefined ? {} : { [found[1]]: textOf(value) };
}

/** Arrays and plain objects that JSON can represent. */
function jsonOf(value: unknown): DisplayBundle {
  if (typeof value !== 'object' || value === null) return {};
  const prototype: unknown = Object.getPrototypeOf(value);
  if (!Array.isArray(value) && prototype !== Object.prototype && prototype !== null) return {};
  try {
    return { 'application/json': JSON.parse(JSON.stringify(value)) as unknown };
  } catch {
    return {};
  }
}

function textOf(value: unknown): unknown {
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value;
}
