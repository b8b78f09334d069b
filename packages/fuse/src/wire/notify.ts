import { writeI64, writeU64 } from './numbers.ts';

const codes = { invalidateNode: 2, invalidateEntry: 3, resend: 7 } as const;

/** Its header has a code in place of an error, and no request. */
function newNotify(code: number, bodyBytes: number): Buffer {
  const message = Buffer.alloc(16 + bodyBytes);
  message.writeUInt32LE(message.length, 0);
  message.writeInt32LE(code, 4);
  return message;
}

export function invalidateNodeMessage(nodeId: number, offset: number, length: number): Buffer {
  const message = newNotify(codes.invalidateNode, 24);
  writeU64(message, nodeId, 16);
  writeI64(message, offset, 24);
  writeI64(message, length, 32);
  return message;
}

export function invalidateEntryMessage(parent: number, name: Uint8Array): Buffer {
  const message = newNotify(codes.invalidateEntry, 16 + name.length + 1);
  writeU64(message, parent, 16);
  message.writeUInt32LE(name.length, 24);
  message.set(name, 32);
  return message;
}

/** Makes the kernel send again what was read and has no answer (Linux 6.9). */
export function resendMessage(): Buffer {
  return newNotify(codes.resend, 0);
}
