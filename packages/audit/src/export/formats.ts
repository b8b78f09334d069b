import type { AuditRecord } from '../record.ts';
import { toCef } from './cef.ts';
import { toCloudEvent } from './cloudevents.ts';
import { toEcs } from './ecs.ts';
import { toOcsf } from './ocsf.ts';

export interface FormatContext {
  /** Of SoulBox. */
  readonly version: string;
  /** Of the log. */
  readonly origin: string;
}

const formats = {
  ocsf: (record, { version }) => JSON.stringify(toOcsf(record, version)),
  ecs: (record, { version }) => JSON.stringify(toEcs(record, version)),
  cef: (record, { version }) => toCef(record, version),
  cloudevents: (record, { origin }) => JSON.stringify(toCloudEvent(record, origin)),
} satisfies Record<string, (record: AuditRecord, context: FormatContext) => string>;

export type ExportFormat = keyof typeof formats;
export const exportFormats = Object.keys(formats) as ExportFormat[];

/** A record as a line of the format, without a line feed. */
export function formatRecord(record: AuditRecord, format: ExportFormat, context: FormatContext): string {
  return formats[format](record, context);
}
