import { escapeHtml } from '@soulbox/base';
import type { EdgeError } from './edge-error.ts';

const titles: Readonly<Record<number, string>> = {
  401: 'Not authorized',
  403: 'Access denied',
  404: 'Not found',
  409: 'Sandbox is changing its state',
  429: 'Too many connections',
  502: 'Sandbox not reachable',
  503: 'Not available yet',
};

/** A page without scripts and external resources. Every value is escaped. */
export function errorPage(error: EdgeError): string {
  const facts: [string, string][] = [];
  if ('sandboxId' in error) facts.push(['Sandbox', error.sandboxId]);
  if ('port' in error) facts.push(['Port', String(error.port)]);
  if ('path' in error) facts.push(['Path', error.path]);
  const rows = facts.map(([name, value]) => `<dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}</dd>`).join('');
  const title = escapeHtml(titles[error.code] ?? 'Error');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 34rem; margin: 18vh auto 0; padding: 0 1.5rem; }
h1 { font-size: 1.5rem; margin: 0 0 .5rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem; margin-top: 1.5rem; }
dt { opacity: .65; }
dd { margin: 0; font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
</style>
</head>
<body>
<h1>${title}</h1>
<p>${escapeHtml(error.message)}</p>
<dl><dt>Code</dt><dd>${escapeHtml(String(error.code))}</dd>${rows}</dl>
</body>
</html>
`;
}
