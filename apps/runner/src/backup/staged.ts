/** The result of a backup for one sandbox or snapshot. */
export interface Staged {
  readonly what: 'sandbox' | 'snapshot';
  readonly id: string;
  /** Why it is not in the backup. Absent: it is. */
  readonly leftOut?: string;
}

export type Report = (staged: Staged) => void;
