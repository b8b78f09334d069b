export { createAliveCalls, type AliveCalls } from './alive-calls.ts';
export { answerError } from './answer-error.ts';
export { orderSchema, readMountIds, readOrder } from './read-order.ts';
export { createMounts, type MountOrder, type Mounts, type MountWork } from './serve-mounts.ts';
export { startServiceServer } from './start-server.ts';
