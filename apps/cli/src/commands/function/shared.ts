export const functionArg = { type: 'positional', required: true, description: 'Name of the function' } as const;

export const pathOf = (name: string, rest = ''): string => `/functions/${encodeURIComponent(name)}${rest}`;
