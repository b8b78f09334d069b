/** Where the spans of a server go. */
export interface TraceSettings {
  /** The URL of a collector that takes OTLP over HTTP, as JSON. Empty: nothing is recorded. */
  readonly url: string;
  /** Of the traces that begin here, the share that is recorded. */
  readonly samplePercent: number;
}
