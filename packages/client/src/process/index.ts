export { attachProcess } from './attach.ts';
export type { Attachment, ProcessEvent } from './attach.ts';
