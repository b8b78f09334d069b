import type { ApiContext } from '../context.ts';
import { callRunner } from '../runner/call.ts';
import { gauge } from '../meters/text-format.ts';
import type { MetricFamily } from '../meters/text-format.ts';

/** spec/runner, message GetPoolResponse. */
export async function poolFamilies(context: ApiContext): Promise<MetricFamily[]> {
  const pool = await callRunner((options) => context.runner.getPool({}, options));
  return [
    gauge('soulbox_pool_ready', 'Spares that are ready, of all templates.', pool.ready),
    gauge('soulbox_pool_wanted', 'Target number of spares.', pool.wanted),
    gauge('soulbox_pool_booting', 'Sandboxes that are booting.', pool.booting),
    gauge('soulbox_pool_waiting', 'Creates that are waiting for a boot.', pool.waiting),
    {
      name: 'soulbox_pool_creates_total',
      help: 'Creates that found a spare (hit), and those that waited for a boot (miss).',
      type: 'counter',
      samples: [
        { labels: { outcome: 'hit' }, value: Number(pool.served) },
        { labels: { outcome: 'miss' }, value: Number(pool.waited) },
      ],
    },
    {
      name: 'soulbox_sandbox_start_failures_total',
      help: 'Failed boots of sandboxes, including spares.',
      type: 'counter',
      samples: [{ labels: {}, value: Number(pool.failedBoots) }],
    },
  ];
}
