import { ExportResultCode } from '@opentelemetry/core';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace';
import type { Logger } from '@soulbox/base';

/** A collector that is away for a day gets a line each minute, not one for each batch. */
const silenceMs = 60_000;

/** The same exporter. The log says that spans are being lost, and when they arrive again. */
export function reportFailures(exporter: SpanExporter, logger: Logger, now: () => number = Date.now): SpanExporter {
  let failing: { reportedAt: number; lost: number } | undefined;
  const note = (error: Error | undefined, spans: number): void => {
    if (error === undefined) {
      if (failing !== undefined) logger.info({ lostSpans: failing.lost }, 'the collector takes spans again');
      failing = undefined;
      return;
    }
    const lost = (failing?.lost ?? 0) + spans;
    const isDue = failing === undefined || now() - failing.reportedAt >= silenceMs;
    if (isDue) logger.warn({ err: error, lostSpans: lost }, 'spans were lost because the collector did not take them');
    failing = { reportedAt: isDue ? now() : (failing?.reportedAt ?? 0), lost };
  };
  return {
    export(spans: ReadableSpan[], done) {
      exporter.export(spans, (result) => {
        note(
          result.code === ExportResultCode.SUCCESS ? undefined : (result.error ?? new Error('the export failed')),
          spans.length,
        );
        done(result);
      });
    },
    shutdown: async () => await exporter.shutdown(),
  };
}
