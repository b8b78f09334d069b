import type { AuditRecord } from '../record.ts';
import { hasSucceeded, severityOf } from './activity.ts';
import type { Severity } from './activity.ts';

/** 0 to 10. */
const severities: Readonly<Record<Severity, number>> = { informational: 1, low: 3, medium: 5, high: 8 };

const inHeader = (text: string): string => text.replaceAll(/[\\|]/g, '\\$&').replaceAll(/[\r\n]+/g, ' ');
const inExtension = (text: string): string =>
  text.replaceAll(/[\\=]/g, '\\$&').replaceAll('\r', '\\r').replaceAll('\n', '\\n');

/** A line of ArcSight's Common Event Format, version 0, without a line feed. */
export function toCef(record: AuditRecord, version: string): string {
  const { actor, target, request, source, result, action } = record;
  const succeeded = hasSucceeded(record);
  const header = ['SoulBox', 'SoulBox', version, action, `${action} ${record.stage}`].map(inHeader);
  const fields: readonly (readonly [string, string | undefined])[] = [
    ['rt', String(record.time)],
    ['externalId', record.id],
    ['act', action],
    ['outcome', succeeded === undefined ? undefined : succeeded ? 'success' : 'failure'],
    ['suid', actor.id],
    ['spriv', actor.kind],
    ['duid', target.id === '' ? undefined : target.id],
    ['requestMethod', request?.method],
    ['request', request?.route],
    ['requestClientApplication', source?.agent],
    ['reason', result === undefined ? undefined : String(result.code)],
    ['cn1Label', 'seq'],
    ['cn1', String(record.seq)],
    ['cs1Label', 'team'],
    ['cs1', target.team],
    ['cs2Label', 'requestId'],
    ['cs2', request?.id],
    ['cs3Label', 'network'],
    ['cs3', source?.network],
    ['cs4Label', 'stage'],
    ['cs4', record.stage],
  ];
  const values = new Map(fields);
  const isUsed = ([name, value]: readonly [string, string | undefined]): boolean =>
    value !== undefined && (!name.endsWith('Label') || values.get(name.slice(0, -'Label'.length)) !== undefined);
  const extension = fields.filter(isUsed).map(([name, value = '']) => `${name}=${inExtension(value)}`);
  return `CEF:0|${header.join('|')}|${severities[severityOf(record)]}|${extension.join(' ')}`;
}
