import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { defineCommand } from 'citty';
import { Secret, SoulBoxError } from '@soulbox/base';
import { jsonArg } from '../../command-line/shared-args.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { readContexts, writeContexts } from '../../login/contexts.ts';
import { contextNameArg, factsOf } from './shared.ts';

const maxKeyLength = 1024;

export const createContext = defineCommand({
  meta: {
    name: 'create',
    description: 'Keep a server and an API key of it under a name; the first one is used at once',
    examples: [
      'soulbox context create work --url https://soulbox.example.com --key-file key',
      'pass show soulbox | soulbox context create work --url https://soulbox.example.com',
    ],
  },
  args: {
    name: contextNameArg,
    url: { type: 'string', required: true, description: 'URL of the API', valueHint: 'URL' },
    'sandbox-url': {
      type: 'string',
      description: 'URL that reaches the ports of sandboxes (default: that of the API)',
      valueHint: 'URL',
    },
    'key-file': {
      type: 'string',
      description: 'File with the key (default: standard input)',
      valueHint: 'FILE',
    },
    force: { type: 'boolean', description: 'Replace a context of this name' },
    json: jsonArg,
  },
  async run({ args }) {
    const { name } = args;
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name))
      throw new UsageError('NAME must have 1 to 64 letters, digits, dots, hyphens or underscores.');
    const url = parseUrl('url', args.url);
    const sandboxUrl = args['sandbox-url'] === undefined ? undefined : parseUrl('sandbox-url', args['sandbox-url']);
    const { current, byName } = await readContexts();
    if (byName.has(name) && args.force !== true)
      throw new SoulBoxError('name_taken', `There is a context ${name}. Use --force to replace it.`);
    const context = { url, sandboxUrl, key: await readKey(args['key-file']) };
    await writeContexts({ current: current ?? name, byName: new Map([...byName, [name, context]]) });
    const isUsed = (current ?? name) === name;
    if (args.json === true) console.log(JSON.stringify(factsOf(name, context, isUsed)));
    else console.log(`Created the context ${name}.${isUsed ? ' Commands use it.' : ''}`);
  },
});

function parseUrl(flag: string, value: string): string {
  const isHttp = URL.canParse(value) && ['http:', 'https:'].includes(new URL(value).protocol);
  if (!isHttp) throw new UsageError(`--${flag} must be an http or https URL, not ${JSON.stringify(value)}.`);
  const { username, password } = new URL(value);
  if (username !== '' || password !== '') throw new UsageError(`--${flag} must have no user and no password.`);
  return value.replace(/\/+$/, '');
}

/** The key is never an argument, which other users of the host could see. */
async function readKey(file: string | undefined): Promise<Secret> {
  if (file === undefined && process.stdin.isTTY)
    throw new UsageError('Give the key on standard input, or with --key-file FILE.');
  const key = (file === undefined ? await text(process.stdin) : await readFile(file, 'utf8')).trim();
  if (!/^[\x21-\x7e]+$/.test(key) || key.length > maxKeyLength) throw new UsageError('This is not an API key.');
  return new Secret(key);
}
