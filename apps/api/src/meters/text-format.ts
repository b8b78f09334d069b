/** One metric with all its series (prometheus.io/docs/instrumenting/exposition_formats, text version 0.0.4). */
export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram' | 'untyped';
  readonly samples: readonly {
    /** Suffix of the name, for a histogram: `_bucket`, `_sum`, `_count`. */
    readonly suffix?: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly value: number;
  }[];
}

/** A single value that can go up and down. */
export function gauge(name: string, help: string, value: number): MetricFamily {
  return { name, help, type: 'gauge', samples: [{ labels: {}, value }] };
}

export const prometheusContentType = 'text/plain; version=0.0.4; charset=utf-8';

/** Label values may come from tenants. Backslash, quote and newline are escaped, so that they cannot forge series. */
function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

/** In Go's format, which is the same as JavaScript's for finite numbers. */
function showValue(value: number): string {
  return value === Infinity ? '+Inf' : value === -Infinity ? '-Inf' : String(value);
}

export function formatMetrics(families: readonly MetricFamily[]): string {
  const lines = families
    .filter((family) => family.samples.length > 0)
    .flatMap((family) => [
      `# HELP ${family.name} ${family.help}`,
      `# TYPE ${family.name} ${family.type}`,
      ...family.samples.map(({ suffix = '', labels, value }) => {
        const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`);
        return `${family.name}${suffix}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${showValue(value)}`;
      }),
    ]);
  return `${lines.join('\n')}\n`;
}
