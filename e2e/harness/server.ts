import { inject } from 'vitest';

/** The server that global-setup started. */
export const server = inject('server');

export const apiUrl = server.plain['E2B_API_URL'] ?? '';
/** Of the clients and of raw requests. `useOwnTeam` changes it. */
export let apiKey = '';

useSharedServer();

/** From now on, the clients use the server that all files share, and the key of its first team. */
export function useSharedServer(): void {
  // The unmodified clients find it as in a user's program: by their environment variables.
  Object.assign(process.env, server.plain);
  apiKey = server.plain['E2B_API_KEY'] ?? '';
}

/** From now on the clients of this test file use this key. */
export function setApiKey(key: string): void {
  apiKey = key;
  process.env['E2B_API_KEY'] = key;
}
