import { setTimeout as sleep } from 'node:timers/promises';
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, TraceFlags } from '@opentelemetry/api';
import type { Context, Span } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import type { Logger, OpenSpan, TraceContext, Tracer } from '@soulbox/base';
import type { TraceSettings } from './trace-settings.ts';
import { reportFailures } from './report-failures.ts';

/** Spans that wait for the collector; further ones are dropped. A span takes about 1 KiB. */
const waitingMax = 4096;
const batchMax = 512;
/** Until a batch that is not full is sent. */
const delayMs = 1000;
/** For one batch, with its repetitions. A collector that takes longer loses it. */
const exportMs = 5000;
/** Batches on their way. */
const exportsAtOnce = 2;
/** For the last spans of a process that stops. */
const stopMs = 2000;
/** Our values are words and numbers. This limit only makes a fault harmless. */
const valueLengthMax = 256;
const attributesMax = 16;

const kinds = { server: SpanKind.SERVER, client: SpanKind.CLIENT, internal: SpanKind.INTERNAL };

export interface Exporter {
  readonly tracer: Tracer;
  stop(): Promise<void>;
}

/** Creates spans by OpenTelemetry's SDK, and sends them by OTLP over HTTP. Nothing of it throws or waits. */
export function createExporter({
  url,
  samplePercent,
  service,
  logger,
}: TraceSettings & { readonly service: string; readonly logger: Logger }): Exporter {
  const exporter = new OTLPTraceExporter({ url, timeoutMillis: exportMs, concurrencyLimit: exportsAtOnce });
  const processor = new BatchSpanProcessor({
    exporter: reportFailures(exporter, logger),
    maxQueueSize: waitingMax,
    maxExportBatchSize: batchMax,
    scheduledDelayMillis: delayMs,
    exportTimeoutMillis: exportMs,
  });
  const sampler = samplePercent === 100 ? new AlwaysOnSampler() : new TraceIdRatioBasedSampler(samplePercent / 100);
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': service, 'service.namespace': 'soulbox' }),
    // The flag of a caller is read before anybody knows who it is, so it cannot raise the share.
    sampler: new ParentBasedSampler({ root: sampler, remoteParentSampled: sampler }),
    spanLimits: { attributeValueLengthLimit: valueLengthMax, attributeCountLimit: attributesMax, linkCountLimit: 1 },
    spanProcessors: [processor],
  });
  const own = provider.getTracer('soulbox');
  return {
    tracer: {
      startSpan({ name, kind, parent, cause, attributes, startedAt }) {
        const links = cause === undefined ? [] : [{ context: spanContextOf(cause) }];
        const options = { kind: kinds[kind], attributes: { ...attributes }, links };
        return openSpanOf(
          own.startSpan(name, startedAt === undefined ? options : { ...options, startTime: startedAt }, within(parent)),
        );
      },
    },
    async stop() {
      const stopped = provider.shutdown().catch(() => undefined);
      await Promise.race([stopped, sleep(stopMs, undefined, { ref: false })]);
    },
  };
}

function openSpanOf(span: Span): OpenSpan {
  const { traceId, spanId, traceFlags } = span.spanContext();
  return {
    context: { traceId, spanId, isSampled: (traceFlags & TraceFlags.SAMPLED) !== 0 },
    set: (attributes) => void span.setAttributes({ ...attributes }),
    end({ failure, endedAt } = {}) {
      if (failure !== undefined) span.setAttribute('error.type', failure).setStatus({ code: SpanStatusCode.ERROR });
      span.end(endedAt);
    },
  };
}

function within(parent: TraceContext | undefined): Context {
  return parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, spanContextOf(parent));
}

function spanContextOf({ traceId, spanId, isSampled }: TraceContext) {
  return { traceId, spanId, traceFlags: isSampled ? TraceFlags.SAMPLED : TraceFlags.NONE, isRemote: true };
}
