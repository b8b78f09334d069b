import { inject } from 'vitest';

/** The server that global-setup started. */
export const server = inject('server');

// The unmodified clients find it as in a user's program: by their environment variables.
Object.assign(process.env, server.plain);

export const apiUrl = server.plain['E2B_API_URL'] ?? '';
export const apiKey = server.plain['E2B_API_KEY'] ?? '';
