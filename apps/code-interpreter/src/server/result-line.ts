import type { Bundle } from '../kernels/kernel.ts';

/** The wire's names of MIME types; all others go under `extra`. */
const namesByType: Readonly<Record<string, string>> = {
  'text/plain': 'text',
  'text/html': 'html',
  'text/markdown': 'markdown',
  'image/svg+xml': 'svg',
  'image/png': 'png',
  'image/jpeg': 'jpeg',
  'application/pdf': 'pdf',
  'text/latex': 'latex',
  'application/json': 'json',
  'application/javascript': 'javascript',
  'e2b/data': 'data',
  'e2b/chart': 'chart',
};
const base64Names = new Set(['png', 'jpeg', 'pdf']);

/** A value as a line of the stream. */
export function resultLine(bundle: Bundle, isMain: boolean): object {
  const formats: Record<string, unknown> = {};
  const extra: Record<string, unknown> = {};
  for (const [type, value] of Object.entries(bundle)) {
    const name = namesByType[type];
    if (name === undefined) extra[type] = value;
    else formats[name] = formatted(name, value);
  }
  return {
    type: 'result',
    ...formats,
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
    is_main_result: isMain,
  };
}

function formatted(name: string, value: unknown): unknown {
  if (typeof value !== 'string') return value;
  if (name === 'text') return withoutQuotes(value);
  return base64Names.has(name) ? value.replaceAll(/\s/g, '') : value;
}

/** One pair around the whole: a text's own, as most languages show it. */
function withoutQuotes(text: string): string {
  const [first] = text;
  const isQuoted = text.length >= 2 && (first === '"' || first === "'") && text.endsWith(first);
  return isQuoted ? text.slice(1, -1) : text;
}
