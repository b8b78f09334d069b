import type { AuditRecord } from '../record.ts';

/** A CloudEvent 1.0 in its JSON form. `origin` is that of the log. */
export function toCloudEvent(record: AuditRecord, origin: string): object {
  const { target } = record;
  return {
    specversion: '1.0',
    id: record.id,
    source: `//${origin}`,
    type: `dev.soulbox.audit.${record.action}.${record.stage}`,
    ...(target.id !== '' && { subject: `${target.kind}/${target.id}` }),
    time: new Date(record.time).toISOString(),
    datacontenttype: 'application/json',
    sequence: String(record.seq).padStart(16, '0'),
    data: record,
  };
}
