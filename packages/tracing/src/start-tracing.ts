import { recordSpans } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import type { TraceSettings } from './trace-settings.ts';

/**
 * Sends the spans of this process to a collector, until the result is disposed; that waits up to 2 s for the last ones.
 * The libraries of OpenTelemetry are loaded here, and only if there is a collector. A process that gives up its
 * privileges calls this before.
 */
export async function startTracing(
  { url, samplePercent }: TraceSettings,
  { service, logger }: { readonly service: string; readonly logger: Logger },
): Promise<AsyncDisposable> {
  if (url === '') return { [Symbol.asyncDispose]: () => Promise.resolve() };
  const { createExporter } = await import('./open-telemetry.ts');
  const exporter = createExporter({ url, samplePercent, service, logger });
  const recording = recordSpans(exporter.tracer);
  return {
    async [Symbol.asyncDispose]() {
      recording[Symbol.dispose]();
      await exporter.stop();
    },
  };
}
