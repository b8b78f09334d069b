import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiSshKey } from '../../api/wire.ts';
import { repeatedFlag } from '../../command-line/repeated-flags.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { printList } from '../../output/print-list.ts';
import { parseRights } from './parse-rights.ts';

const personalArg = {
  type: 'boolean',
  description: 'Of the signed-in person, with what their role allows, instead of the team',
} as const;

const pathOf = (isPersonal: boolean | undefined): string => (isPersonal === true ? '/personal-ssh-keys' : '/ssh-keys');

export const addSshKey = defineCommand({
  meta: {
    name: 'add-ssh',
    description: 'Add a public key with which sandboxes are entered by SSH',
    examples: [
      'soulbox key add-ssh ~/.ssh/id_ed25519.pub',
      'soulbox key add-ssh ~/.ssh/id_ed25519.pub --template web --expires 30d',
    ],
  },
  args: {
    file: {
      type: 'positional',
      required: true,
      description: 'A file such as ~/.ssh/id_ed25519.pub; - for standard input',
    },
    name: { type: 'string', description: 'Default: the comment of the key', valueHint: 'NAME' },
    personal: personalArg,
    template: {
      type: 'string',
      description: 'Restrict it to sandboxes of this template, by id or name; repeatable',
      valueHint: 'TEMPLATE',
    },
    expires: { type: 'string', description: 'When it expires (default never)', valueHint: '30d|12h|DATE' },
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args, rawArgs }) {
    const templates = repeatedFlag(rawArgs, 'template');
    if (args.personal === true && templates.length > 0)
      throw new UsageError('A key of a person is not restricted to templates: leave out --template or --personal.');
    const { expiresAt } = parseRights({ role: 'developer', expires: args.expires, scopes: [], templates }, Date.now());
    const publicKey = args.file === '-' ? await text(process.stdin) : await readFile(args.file, 'utf8');
    if (publicKey.includes('PRIVATE KEY'))
      throw new UsageError(
        `${args.file} is a private key, which never leaves your machine. Add the file ending in .pub.`,
      );
    const body = {
      ...{ publicKey, ...(args.name === undefined ? {} : { name: args.name }) },
      ...(templates.length === 0 ? {} : { templates }),
      ...(expiresAt === undefined ? {} : { expiresAt: new Date(expiresAt).toISOString() }),
    };
    const api = await findApi(args['data-dir']);
    const { body: key } = await callApi<ApiSshKey>(api, { method: 'POST', path: pathOf(args.personal), body });
    console.log(args.json === true ? JSON.stringify(key) : `${key.sshKeyID} ${key.fingerprint}`);
  },
});

export const listSshKeys = defineCommand({
  meta: {
    name: 'list-ssh',
    description: 'List the public keys with which sandboxes are entered by SSH',
    examples: ['soulbox key list-ssh', 'soulbox key list-ssh --personal'],
  },
  args: { personal: personalArg, 'data-dir': apiDataDirArg, json: jsonArg },
  async run({ args }) {
    const api = await findApi(args['data-dir']);
    const { body: keys } = await callApi<ApiSshKey[]>(api, { path: pathOf(args.personal) });
    printList(
      keys,
      {
        ID: (key) => key.sshKeyID,
        NAME: (key) => key.name,
        FINGERPRINT: (key) => key.fingerprint,
        TEMPLATES: (key) => key.templates?.join(',') ?? '',
        EXPIRES: (key) => key.expiresAt ?? 'never',
        'LAST USED': (key) => key.lastUsed ?? 'never',
      },
      args,
    );
  },
});

export const removeSshKey = defineCommand({
  meta: {
    name: 'remove-ssh',
    description: 'Remove a public key; its open connections end',
    examples: ['soulbox key remove-ssh KEY_ID', 'soulbox key remove-ssh KEY_ID --personal'],
  },
  args: {
    key: { type: 'positional', required: true, description: 'Its id, as in `soulbox key list-ssh`' },
    personal: personalArg,
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const path = `${pathOf(args.personal)}/${encodeURIComponent(args.key)}`;
    await callApi(await findApi(args['data-dir']), { method: 'DELETE', path });
    console.log(args.json === true ? JSON.stringify({ key: args.key, removed: true }) : `Removed ${args.key}.`);
  },
});
