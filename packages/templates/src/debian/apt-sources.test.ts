import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { removeTree } from '@soulbox/base';
import { readHostSources, sourcesToDeb822 } from './apt-sources.ts';

let etc: string;
beforeEach(async () => {
  etc = await mkdtemp(join(tmpdir(), 'apt-'));
  await mkdir(join(etc, 'sources.list.d'));
});
afterEach(async () => {
  await removeTree(etc);
});
const write = async (name: string, text: string): Promise<void> => {
  await writeFile(join(etc, name), text);
};

test('a mirror in deb822 form is used, with its security archive', async () => {
  await write(
    'sources.list.d/debian.sources',
    `# our mirror
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: trixie trixie-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: trixie-security
Components: main
`,
  );
  const sources = await readHostSources('trixie', etc);
  expect(sources.map((source) => source.uris)).toEqual([
    ['http://mirror.example/debian'],
    ['http://mirror.example/debian-security'],
  ]);
  expect(sourcesToDeb822(sources)).toContain('Suites: trixie trixie-updates\n');
});

test('the one-line form is used too', async () => {
  await write(
    'sources.list',
    '#deb http://old.example x main\ndeb [arch=amd64] https://m.example/debian trixie main contrib # ours\n',
  );
  expect(await readHostSources('trixie', etc)).toEqual([
    { uris: ['https://m.example/debian'], suites: ['trixie'], components: ['main', 'contrib'] },
  ]);
});

test.each([
  ['local folders', 'deb file:/srv/debian trixie main\n'],
  ['unsigned ones', 'deb [trusted=yes] http://m.example/debian trixie main\n'],
  ['ones signed by someone else', 'deb [signed-by=/etc/apt/keyrings/docker.asc] http://m.example trixie main\n'],
  ['other releases', 'deb http://m.example/debian bookworm main\n'],
  ['only the updates', 'deb http://m.example/debian trixie-updates main\n'],
])('%s are left out', async (_, line) => {
  await write('sources.list', line);
  expect(await readHostSources('trixie', etc)).toEqual([]);
});

test('disabled stanzas, trusted ones and those with a key are left out', async () => {
  const stanza = (extra: string): string =>
    `Types: deb\nURIs: http://m.example/debian\nSuites: trixie\nComponents: main\n${extra}\n`;
  const key = 'Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc';
  await write('sources.list.d/a.sources', [stanza('Enabled: no'), stanza('Trusted: yes'), stanza(key)].join('\n'));
  expect(await readHostSources('trixie', etc)).toEqual([]);
});

test('a host without apt has no sources', async () => {
  expect(await readHostSources('trixie', '/proc/nowhere')).toEqual([]);
});
