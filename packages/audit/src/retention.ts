import type { AuditClass } from './record.ts';

const dayMs = 24 * 60 * 60 * 1000;

/**
 * How long records are kept, in days, by jurisdiction and class.
 *
 * - `eu`: France's CNIL recommends 6 to 12 months for logs. Who read a log is personal data of the readers.
 * - `us-hipaa`: 45 CFR 164.316(b)(2)(i) requires six years for documentation.
 * - `pci`: PCI DSS 4.0, requirement 10.5.1: twelve months.
 */
export const retentionDays = {
  none: { security: 365, operation: 365, reading: 365 },
  eu: { security: 365, operation: 365, reading: 180 },
  'us-hipaa': { security: 2192, operation: 2192, reading: 2192 },
  pci: { security: 365, operation: 365, reading: 365 },
} as const satisfies Record<string, Record<AuditClass, number>>;

export type Jurisdiction = keyof typeof retentionDays;

export const jurisdictions = Object.keys(retentionDays) as Jurisdiction[];

export interface RetentionPolicy {
  readonly jurisdiction: Jurisdiction;
  /** Keeps records longer than the table says. A smaller number than that of the table changes nothing. */
  readonly minDays: number;
}

/** The time from which a record may be pruned. Milliseconds since the Unix epoch. */
export function retainUntil(time: number, recordClass: AuditClass, { jurisdiction, minDays }: RetentionPolicy): number {
  return time + Math.max(retentionDays[jurisdiction][recordClass], minDays) * dayMs;
}
