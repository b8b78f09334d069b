import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isThere } from '@soulbox/testing';
import { server } from '../harness/server.ts';
import { installClients, listVersions } from './install.ts';
import { clientPackages } from './packages.ts';
import { differences, environmentsOf, runClients } from './run-clients.ts';
import { parseTable } from './table.ts';

const short = clientPackages.filter(({ inCi }) => inCi.length > 0);
const published = await Promise.all(short.map(async (client) => await listVersions(client).catch(() => [])));
const isReachable = isThere(
  'npm registry with the client packages',
  published.every((versions) => versions.length > 0),
);
const document = await readFile(join(import.meta.dirname, '../../docs/clients.md'), 'utf8');
const installAndRunMs = 300_000;

// `npm run test:clients` runs this with every version of every package.
test.skipIf(!isReachable)(
  'client versions at which the wire changed, and the newest version, do what docs/clients.md says',
  { timeout: installAndRunMs },
  async () => {
    for (const [index, client] of short.entries()) {
      const newest = published[index]?.at(-1) ?? '';
      const clients = await installClients(client, [...new Set([...client.inCi, newest])]);
      const all = await runClients(clients, { environments: environmentsOf(server.tls, server.plain), lanes: 3 });
      expect(all).toHaveLength(clients.length * 2);
      expect(differences(parseTable(document, client.name), all)).toEqual([]);
    }
  },
);
