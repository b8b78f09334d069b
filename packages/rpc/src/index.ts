export { readPeer } from './peer.ts';
export type { Peer } from './peer.ts';
export { serveSocket } from './serve-socket.ts';
export type { Door, ServeSocketOptions } from './serve-socket.ts';
export { createSocketTransport } from './socket-transport.ts';
