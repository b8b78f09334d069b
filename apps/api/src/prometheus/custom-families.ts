import type { ApiContext } from '../context.ts';
import type { MetricFamily } from '../meters/text-format.ts';
import { callRunner } from '../runner/call.ts';

/** Series of all sandboxes in one scrape. */
const seriesMax = 20_000;
/** Labels that the server adds. A label of user code with such a name gets a prefix, as Prometheus does it. */
const ownLabels: ReadonlySet<string> = new Set(['sandbox_id', 'template']);

/**
 * The newest values that programs in the team's sandboxes report. Sandboxes may give one name different types, and the
 * text format allows one, so all are untyped.
 */
export async function customFamilies(
  { runner }: ApiContext,
  sandboxes: readonly { readonly id: string; readonly template: string }[],
): Promise<MetricFamily[]> {
  if (sandboxes.length === 0) return [];
  const templates = new Map(sandboxes.map(({ id, template }) => [id, template]));
  const { sandboxes: known } = await callRunner((options) =>
    runner.listCustomMetrics({ sandboxIds: [...templates.keys()] }, options),
  );
  const families = new Map<string, { labels: Record<string, string>; value: number }[]>();
  let left = seriesMax;
  for (const { sandboxId, series } of known) {
    const template = templates.get(sandboxId);
    if (template === undefined) continue;
    for (const { name, labels, values } of series) {
      const value = values.at(-1);
      if (value === undefined || left <= 0) continue;
      left -= 1;
      const theirs = Object.entries(labels).map(([label, text]) => [
        ownLabels.has(label) ? `exported_${label}` : label,
        text,
      ]);
      const samples = families.get(name) ?? [];
      families.set(name, samples);
      samples.push({ labels: { sandbox_id: sandboxId, template, ...(Object.fromEntries(theirs) as object) }, value });
    }
  }
  return [...families].map(([name, samples]) => ({
    name,
    help: 'Reported by programs in sandboxes.',
    type: 'untyped',
    samples,
  }));
}
