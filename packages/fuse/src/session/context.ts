import type { FuseContext } from '../fuse-fs.ts';
import type { Message } from '../wire/message.ts';
import { valueReply } from '../wire/replies.ts';

export interface AbortableContext extends FuseContext {
  readonly abort: () => void;
}

export function createContext(message: Message): AbortableContext {
  let controller: AbortController | undefined;
  let aborted = false;
  return {
    ...{ uid: message.uid, gid: message.gid, pid: message.pid },
    ...{ unique: message.unique, isResent: message.isResent, encodeReply: valueReply },
    get signal() {
      if (controller === undefined) {
        controller = new AbortController();
        if (aborted) controller.abort();
      }
      return controller.signal;
    },
    abort: () => {
      aborted = true;
      controller?.abort();
    },
  };
}
