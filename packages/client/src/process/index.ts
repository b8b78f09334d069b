export { attachProcess } from './attach.ts';
export type { Attachment, OpenedStream, ProcessEvent } from './attach.ts';
export { runProcess } from './run.ts';
export type { RunOptions } from './run.ts';
