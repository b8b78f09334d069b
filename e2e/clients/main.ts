import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { startServer } from '@soulbox/testing';
import { getIsolation, placeOptions, progressOf, readOptions } from '../harness/long-run.ts';
import { installClients, listVersions } from './install.ts';
import { clientPackages } from './packages.ts';
import { differences, environmentsOf, runClients } from './run-clients.ts';
import type { Seen } from './run-clients.ts';
import { kindOf, parseTable, renderCell, withTable } from './table.ts';
import type { AddressForm } from './table.ts';

const values = readOptions({
  ...placeOptions,
  only: { type: 'string', default: clientPackages.map(({ name }) => name).join(',') },
  versions: { type: 'string', default: 'all' },
  lanes: { type: 'string', default: '3' },
  write: { type: 'boolean', default: false },
});
const say = progressOf('clients');
const documentFile = join(import.meta.dirname, '../../docs/clients.md');
let document = await readFile(documentFile, 'utf8');
const environment = { SOULBOX_ISOLATION: getIsolation(values.isolation), SOULBOX_TEAM_SANDBOX_LIMIT: '100' };
const server = await startServer({ instance: Number(values.instance), environment });
const wrong: string[] = [];
let count = 0;
try {
  const only = values.only.split(',');
  for (const client of clientPackages.filter(({ name }) => only.includes(name))) {
    const published = await listVersions(client);
    const chosen = values.versions.split(',');
    const versions = values.versions === 'all' ? published : published.filter((version) => chosen.includes(version));
    say(`installs ${versions.length} versions of ${client.name}`);
    const clients = await installClients(client, versions);
    const all = await runClients(clients, {
      environments: environmentsOf(server.tlsEnvironment, server.clientEnvironment),
      lanes: Number(values.lanes),
      onSeen: ({ version, form, outcomes }) => {
        const failed = Object.entries(outcomes).filter(([, outcome]) => kindOf(outcome) === 'fails');
        say(`${client.name} ${version} ${form}: ${failed.map((each) => each.join(': ')).join('; ') || 'done'}`);
      },
    });
    count += all.length;
    const table = parseTable(document, client.name);
    if (values.write) {
      const cell = (step: string, form: AddressForm): string => renderCell(kindsOf(all, step, form));
      const cells = [...table.keys()].map((step) => [step, { tls: cell(step, 'tls'), plain: cell(step, 'plain') }]);
      document = withTable(document, client.name, new Map(cells as [string, Record<AddressForm, string>][]));
    } else wrong.push(...differences(table, all).map((line) => `${client.name} ${line}`));
  }
} finally {
  await server.stop();
  await removeTree(server.dataDirectory);
}
if (values.write) await writeFile(documentFile, document);
console.log(`${count} runs; ${wrong.length} outcomes are others than docs/clients.md says`);
for (const line of wrong) console.log(`- ${line}`);
process.exit(wrong.length === 0 ? 0 : 1);

function kindsOf(all: readonly Seen[], step: string, form: AddressForm) {
  return all
    .filter((seen) => seen.form === form)
    .map(({ version, outcomes }) => [version, kindOf(outcomes[step] ?? 'not reached')] as const);
}
