import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { renderErrorsDoc } from './errors-doc.ts';

// Writes docs/errors.md; with --check it only reports whether the file is up to date.
const file = fileURLToPath(new URL('../docs/errors.md', import.meta.url));
const text = renderErrorsDoc();
if (!process.argv.includes('--check')) {
  writeFileSync(file, text);
} else if (readFileSync(file, 'utf8') !== text) {
  console.error('docs/errors.md is stale. Run: node scripts/generate-errors-docs.ts');
  process.exitCode = 1;
}
