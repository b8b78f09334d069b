import type { Socket } from 'node:net';

/** Opens a connection to a port inside the sandbox. */
export type Dial = (port: number) => Promise<Socket>;
