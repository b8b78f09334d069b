import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface AptSource {
  readonly uris: readonly string[];
  readonly suites: readonly string[];
  readonly components: readonly string[];
}

/**
 * The Debian archives that this host uses for `suite` (including its updates and security suites), so that the host's
 * mirror also serves the template. Empty on a host with another release: then the caller uses Debian's own archive.
 *
 * Left out: sources that are not fetched over http(s), because a path of the host means nothing inside, and sources
 * that are trusted without a signature or signed by a key that is not Debian's.
 */
export async function readHostSources(suite: string, etcApt = '/etc/apt'): Promise<AptSource[]> {
  const parts = await readdir(join(etcApt, 'sources.list.d')).catch(() => []);
  const files = ['sources.list', ...parts.sort().map((name) => join('sources.list.d', name))];
  const sources: AptSource[] = [];
  for (const file of files) {
    const text = await readFile(join(etcApt, file), 'utf8').catch(() => '');
    if (file.endsWith('.list')) sources.push(...parseOneLineFormat(text));
    else if (file.endsWith('.sources')) sources.push(...parseDeb822(text));
  }
  const wanted = new Set([suite, `${suite}-updates`, `${suite}-security`]);
  const usable = sources.filter(
    (source) =>
      source.uris.length > 0 &&
      source.uris.every((uri) => /^https?:\/\//.test(uri)) &&
      source.suites.length > 0 &&
      source.suites.every((name) => wanted.has(name)),
  );
  return usable.some((source) => source.suites.includes(suite)) ? usable : [];
}

/** deb822 text for mmdebstrap and, later, for apt inside the template. */
export function sourcesToDeb822(sources: readonly AptSource[]): string {
  const stanzas = sources.map((source) =>
    [
      'Types: deb',
      `URIs: ${source.uris.join(' ')}`,
      `Suites: ${source.suites.join(' ')}`,
      `Components: ${source.components.join(' ')}`,
      'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg',
      '',
    ].join('\n'),
  );
  return stanzas.join('\n');
}

const isDebianKey = (signedBy: string | undefined): boolean =>
  signedBy === undefined || /^\/usr\/share\/keyrings\/debian-archive-[a-z-]*keyring\.(gpg|pgp)$/.test(signedBy);
const words = (text: string | undefined): string[] => (text ?? '').split(/\s+/).filter((word) => word !== '');

function parseDeb822(text: string): AptSource[] {
  const uncommented = text.replaceAll(/^#.*\n?/gm, '');
  return uncommented.split(/\n\s*\n/).flatMap((stanza) => {
    const fields = new Map<string, string>();
    let name = '';
    for (const line of stanza.split('\n')) {
      const match = /^([A-Za-z-]+):(.*)$/.exec(line);
      if (match !== null) name = (match[1] ?? '').toLowerCase();
      const value = match === null ? line : (match[2] ?? '');
      fields.set(name, `${fields.get(name) ?? ''} ${value.trim()}`.trim());
    }
    const disabled = fields.get('enabled')?.toLowerCase() === 'no';
    if (disabled || fields.has('trusted') || !isDebianKey(fields.get('signed-by'))) return [];
    if (!words(fields.get('types')).includes('deb')) return [];
    return [
      {
        uris: words(fields.get('uris')),
        suites: words(fields.get('suites')),
        components: words(fields.get('components')),
      },
    ];
  });
}

function parseOneLineFormat(text: string): AptSource[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#]*)/.exec(line);
    if (match === null) return [];
    const [, options = '', uri = '', suite = '', components = ''] = match;
    const signedBy = /(?:^|\s)signed-by=(\S+)/.exec(options)?.[1];
    if (/(?:^|\s)trusted=/.test(options) || !isDebianKey(signedBy)) return [];
    return [{ uris: [uri], suites: [suite], components: words(components) }];
  });
}
