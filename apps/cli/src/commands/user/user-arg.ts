export const userArg = { type: 'positional', required: true, description: 'Id or address of the user' } as const;
