import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runNode } from '../harness/cli.ts';
import { ask, askApi } from '../harness/http.ts';
import { server } from '../harness/server.ts';
import { hasTemplate } from '../harness/template.ts';

// The table in docs/edge.md shows the results of these cases in real functions of both kinds.
// SOULBOX_UPDATE_EDGE_DOCS=1 rewrites it.
const document = join(import.meta.dirname, '../../docs/edge.md');
const [begin, end] = ['<!-- begin: made by e2e/functions/edge-apis.test.ts -->\n', '<!-- end -->'];
const isMade = await hasTemplate('edge');
const kinds = ['workers', 'edge'] as const;
type Kind = (typeof kinds)[number];

interface Case {
  readonly area: string;
  readonly name: string;
  readonly spec: string;
}

async function deploy(kind: Kind): Promise<void> {
  const launcher = join(import.meta.dirname, '../../apps/cli/bin/soulbox.mjs');
  const folder = join(import.meta.dirname, '../edge-apis');
  const options = {
    workers: [folder],
    edge: [join(folder, 'edge.mjs'), '--name', 'e2e-apis-edge', '--kind', 'edge', '--env', 'VARIABLE=variable'],
  }[kind];
  const environment = { ...server.plain, SECRET: 'secret' };
  const { code, stderr } = await runNode(
    [launcher, 'function', 'deploy', ...options, '--secret', 'SECRET'],
    environment,
  );
  expect(code, stderr).toBe(0);
}

/** Why cases fail. Many fail on purpose, so this is shown only if the table differs from the document. */
const faults: string[] = [];

async function passes(kind: Kind, index: number): Promise<boolean> {
  const headers = { host: `fn-e2e-apis-${kind}.soulbox.localhost`, 'x-probe': 'yes' };
  const answer = await ask({ method: 'POST', path: `/run?case=${index}`, headers, body: 'sent body' });
  const { passes: isPassed, why } = JSON.parse(answer.body) as { passes?: boolean; why?: string };
  if (isPassed !== true) faults.push(`${kind}, case ${index}: ${why ?? answer.body}`);
  return isPassed === true;
}

function render(cases: readonly Case[], results: readonly Record<Kind, boolean>[]): string {
  const mark = (isPassed: boolean | undefined): string => (isPassed === true ? 'yes' : 'no');
  const areas = [...new Set(cases.map(({ area }) => area))];
  return areas
    .map((area) => {
      const rows = cases.flatMap((one, index) =>
        one.area === area ? [`| ${one.name} | ${mark(results[index]?.workers)} | ${mark(results[index]?.edge)} |`] : [],
      );
      const spec = cases.find((one) => one.area === area)?.spec ?? '';
      return [`| [${area}](${spec}) | workers | edge |`, '| --- | --- | --- |', ...rows, ''].join('\n');
    })
    .join('\n');
}

describe.skipIf(!isMade)('the Web and Workers APIs', () => {
  beforeAll(async () => {
    for (const kind of kinds) await deploy(kind);
  });
  afterAll(async () => {
    for (const kind of kinds) await askApi('DELETE', `/functions/e2e-apis-${kind}`);
    await askApi('DELETE', '/kv/e2e-apis');
  });

  test('pass as docs/edge.md says', async () => {
    const listed = await ask({ path: '/cases', headers: { host: 'fn-e2e-apis-workers.soulbox.localhost' } });
    const cases = JSON.parse(listed.body) as Case[];
    const results: Record<Kind, boolean>[] = [];
    for (const index of cases.keys())
      results.push({ workers: await passes('workers', index), edge: await passes('edge', index) });
    const table = render(cases, results);
    const text = await readFile(document, 'utf8');
    const [before = '', after = ''] = [text.split(begin)[0], text.split(end)[1]];
    if (process.env['SOULBOX_UPDATE_EDGE_DOCS'] === '1')
      await writeFile(document, before + begin + table + end + after);
    else expect(text.split(begin)[1]?.split(end)[0], faults.join('\n')).toBe(table);
  });
});
