import type { ApiContext } from '../context.ts';
import { callRunner } from '../runner/call.ts';
import { gauge } from '../meters/text-format.ts';
import type { MetricFamily } from '../meters/text-format.ts';

/** spec/runner, message GetPoolResponse. */
export async function poolFamilies(context: ApiContext): Promise<MetricFamily[]> {
  const pool = await callRunner((options) => context.runner.getPool({}, options));
  return [
    gauge('soulbox_pool_ready', 'Warm sandboxes that nobody has yet, over all templates.', pool.ready),
    gauge('soulbox_pool_wanted', 'How many there are to be right now.', pool.wanted),
    gauge('soulbox_pool_booting', 'Sandboxes that boot right now.', pool.booting),
    gauge('soulbox_pool_waiting', 'Creates that wait for a boot.', pool.waiting),
    {
      name: 'soulbox_sandbox_start_failures_total',
      help: 'Boots of sandboxes that failed, those of warm ones included.',
      type: 'counter',
      samples: [{ labels: {}, value: Number(pool.failedBoots) }],
    },
  ];
}
