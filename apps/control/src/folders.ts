import { join } from 'node:path';

/** What the control plane keeps, below the folder that is its own. */
export interface ControlFolders {
  readonly records: string;
  readonly uploads: string;
  readonly functions: string;
  readonly secrets: string;
  readonly reserve: string;
}

export function controlFolders(directory: string): ControlFolders {
  return {
    records: join(directory, 'records.sqlite'),
    uploads: join(directory, 'uploads'),
    functions: join(directory, 'functions'),
    secrets: join(directory, 'secrets'),
    reserve: join(directory, 'reserve'),
  };
}
