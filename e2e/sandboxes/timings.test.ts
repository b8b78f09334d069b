import { expect, test } from 'vitest';
import { apiKey, apiUrl } from '../harness/server.ts';

/** The durations in the header, by name. */
async function timingsOf(path: string, body: object): Promise<{ json: unknown; times: Record<string, number> }> {
  const response = await fetch(`${apiUrl}${path}?timings=1`, {
    method: 'POST',
    headers: { 'x-api-key': apiKey, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  expect(response.status, text).toBeLessThan(300);
  const entries = (response.headers.get('server-timing') ?? '').split(', ').map((entry) => entry.split(';dur='));
  const times = Object.fromEntries(entries.map(([name = '', ms]) => [name, Number(ms)]));
  return { json: text === '' ? undefined : JSON.parse(text), times };
}

/** The phases of an operation, which together take no longer than it. */
function phasesOf(times: Record<string, number>, operation: string): string[] {
  const phases = Object.entries(times).filter(([name]) => name.startsWith(`${operation}.`));
  const sum = phases.reduce((total, [, ms]) => total + ms, 0);
  // Each is rounded to a tenth, the whole to one.
  expect(sum).toBeLessThanOrEqual((times[operation] ?? 0) + 2);
  expect(times['total']).toBeGreaterThanOrEqual((times[operation] ?? Infinity) - 1);
  return phases.map(([name]) => name.slice(operation.length + 1));
}

test('a create, pause, resume and fork say how long each phase took', async () => {
  const created = await timingsOf('/v2/sandboxes', { templateID: 'base', timeout: 60 });
  const path = `/sandboxes/${(created.json as { sandboxID: string }).sandboxID}`;
  try {
    expect(phasesOf(created.times, 'create')).toContain('confirm');
    expect(phasesOf((await timingsOf(`${path}/pause`, {})).times, 'pause')).toContain('save');
    expect(phasesOf((await timingsOf(`/v2${path}/connect`, { timeout: 60 })).times, 'resume')).toContain('restore');
    const forked = await timingsOf(`${path}/fork`, { timeout: 15 });
    expect(phasesOf(forked.times, 'fork').length).toBeGreaterThan(0);
    expect(phasesOf(forked.times, 'copy')).toContain('confirm');
  } finally {
    await fetch(`${apiUrl}${path}`, { method: 'DELETE', headers: { 'x-api-key': apiKey } });
  }
});
