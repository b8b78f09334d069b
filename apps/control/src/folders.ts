import { join } from 'node:path';
import { recordsFileName } from '@soulbox/storage/records-file';

/** The files of the control plane, in the folder that it owns. */
export interface ControlFolders {
  readonly records: string;
  readonly uploads: string;
  readonly functions: string;
  readonly secrets: string;
  readonly reserve: string;
  /** Audit logs, a folder for each team. */
  readonly audit: string;
}

export function controlFolders(directory: string): ControlFolders {
  return {
    records: join(directory, recordsFileName),
    uploads: join(directory, 'uploads'),
    functions: join(directory, 'functions'),
    secrets: join(directory, 'secrets'),
    reserve: join(directory, 'reserve'),
    audit: join(directory, 'audit'),
  };
}
