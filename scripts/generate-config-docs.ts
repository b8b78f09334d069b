import { readFile, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { apiConfigSchema } from '../apps/api/src/config.ts';
import { boxConfigSchema } from '../apps/box/src/config.ts';
import { cacheConfigSchema } from '../apps/box/src/storage/cache-config.ts';
import { storageConfigSchema } from '../apps/box/src/storage/config.ts';
import { functionsConfigSchema } from '../apps/functions/src/config.ts';
import { gatewayConfigSchema } from '../apps/gateway/src/config.ts';
import { keyringConfigSchema } from '../packages/keyring/src/config.ts';
import { sshConfigSchema } from '../apps/ssh/src/config.ts';
import { runnerConfigSchema } from '../apps/runner/src/config.ts';
import type { ConfigSchema } from '@soulbox/base';

// Writes docs/config.md from the tables in each app's config.ts; with --check it only reports whether the page is up to
// date.
const file = join(import.meta.dirname, '../docs/config.md');

const rooms: readonly (readonly [title: string, schema: ConfigSchema])[] = [
  ['Server', boxConfigSchema],
  ['Gateway', gatewayConfigSchema],
  ['API', apiConfigSchema],
  ['Master key', keyringConfigSchema],
  ['SSH', sshConfigSchema],
  ['Object store', storageConfigSchema],
  ['Cache of the object store', cacheConfigSchema],
  ['Runner', runnerConfigSchema],
  ['Functions', functionsConfigSchema],
];

const intro = `# Configuration

<!-- Made by \`npm run docs:config\` from apps/*/src/config.ts. Change the tables there. -->

Every setting is an environment variable of the server. Flags of \`soulbox up\` win over it. A \`SOULBOX_*\` variable that
is not listed here stops the start, and so does a value that does not parse; all faults are reported at once.
`;

function renderRoom([title, schema]: (typeof rooms)[number]): string {
  const rows = Object.values(schema).map(({ env, default: fallback, help }) => {
    // A default that depends on the machine is described in words; otherwise this file would differ between machines.
    const shown = /\bDefault:/.test(help) ? 'see text' : showDefault(fallback);
    return `| \`${env}\` | ${shown} | ${escapeCell(help)} |`;
  });
  return [`## ${title}`, '', '| variable | default | meaning |', '| --- | --- | --- |', ...rows, ''].join('\n');
}

// A bare < would begin an HTML tag, and a bare | the next column.
const escapeCell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '\\<');

function showDefault(value: unknown): string {
  const text = Array.isArray(value) ? value.join(',') : typeof value === 'string' ? value : JSON.stringify(value);
  return text === '' ? 'empty' : `\`${text}\``;
}

const text = [intro, ...rooms.map(renderRoom)].join('\n');
if (process.argv.includes('--check')) {
  if (text !== (await readFile(file, 'utf8').catch(() => ''))) {
    console.error(`${relative(process.cwd(), file)} is not up to date: run npm run docs:config.`);
    process.exitCode = 1;
  }
} else await writeFile(file, text);
