import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { metricsToken, startTestApi } from '../testing/test-api.ts';

interface Panel {
  readonly id: number;
  readonly targets?: readonly { readonly expr: string }[];
}

const deploy = join(import.meta.dirname, '../../../../deploy');

const metricsIn = (text: string): string[] => text.match(/\b(?:soulbox|process|nodejs)_\w+/g) ?? [];

test('every metric in the dashboard for Grafana and in the alerts exists, and each panel has its own number', async () => {
  const dashboard = await readFile(join(deploy, 'grafana/soulbox-server.json'), 'utf8');
  const { panels } = JSON.parse(dashboard) as { panels: Panel[] };
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  const expressions = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
  const alerts = metricsIn(await readFile(join(deploy, 'prometheus/soulbox-alerts.yml'), 'utf8'));
  expect(alerts.length).toBeGreaterThan(10);
  const used = new Set([...expressions.flatMap(metricsIn), ...alerts]);
  expect(used.size).toBeGreaterThan(20);

  await using api = await startTestApi();
  // One that fails and one that is refused, because families without samples are left out.
  await api.ask('POST', '/v2/sandboxes', { body: { templateID: 'slow' } });
  await api.records.quotas.setLimits(api.teamId, { sandboxes: 0 });
  await api.ask('POST', '/v2/sandboxes', { body: { templateID: 'base' } });
  const { text } = await api.ask('GET', '/metrics', {
    key: null,
    headers: { authorization: `Bearer ${metricsToken}` },
  });
  const names = new Set([...text.matchAll(/^(\w+)(?:\{| )/gm)].map(([, name]) => name));
  // The supervisor, which the test does not have, reports restarts.
  names.add('soulbox_process_restarts_total');
  expect([...used].filter((name) => !names.has(name))).toEqual([]);
});
