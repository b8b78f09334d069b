/** A function as the API shows it. */
export interface ApiFunction {
  readonly name: string;
  readonly kind: 'workers' | 'edge';
  readonly activeVersion: number;
  readonly state: 'running' | 'asleep' | 'none';
  readonly updatedAt: string;
}

export const functionArg = { type: 'positional', required: true, description: 'Name of the function' } as const;

export const pathOf = (name: string, rest = ''): string => `/functions/${encodeURIComponent(name)}${rest}`;
