import { createHash } from 'node:crypto';
import { escapeHtml } from '@soulbox/base';

/** Text that is already HTML: the result of `markup`. */
// oxlint-disable-next-line soulbox/no-plain-class -- a value that is told from others by its class
export class Html {
  // Private, so that the compiler takes no object with the same properties for one.
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  get text(): string {
    return this.#text;
  }
}

type Value = string | number | Html | readonly Html[];

/**
 * HTML in which every value is escaped, for text and for attributes in double quotes. Only results of `markup` are
 * inserted unescaped.
 */
export function markup(parts: TemplateStringsArray, ...values: readonly Value[]): Html {
  const show = (value: Value): string => {
    if (value instanceof Html) return value.text;
    if (typeof value === 'object') return value.map(({ text }) => text).join('');
    return escapeHtml(String(value));
  };
  return new Html(parts.map((part, index) => part + (index < values.length ? show(values[index] ?? '') : '')).join(''));
}

const style = `
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 10vh auto 4rem; padding: 0 1.5rem; }
h1 { font-size: 1.5rem; margin: 0 0 .5rem; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem; }
dt { opacity: .7; }
dd { margin: 0; font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
label { display: block; margin: 1.5rem 0 .25rem; }
input { font: inherit; width: 100%; box-sizing: border-box; padding: .4rem .6rem; }
button { font: inherit; margin-top: 1rem; padding: .4rem 1rem; }
`;

/**
 * Headers of every page. The page loads nothing, runs no script, cannot be framed by another page, and its forms lead
 * only to this server. `same-origin`: without a referrer a browser would not say where a form was sent from.
 */
export const pageHeaders = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'content-security-policy':
    `default-src 'none'; style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'; form-action 'self'; ` +
    "base-uri 'none'; frame-ancestors 'none'",
  'referrer-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'x-frame-options': 'DENY',
} as const;

export function renderPage(title: string, body: Html): string {
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${new Html(style)}</style>
</head>
<body>
<h1>${title}</h1>
${body}
</body>
</html>
`.text;
}
