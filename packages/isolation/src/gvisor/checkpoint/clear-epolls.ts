import { kinds } from './object-reader.ts';
import type { Fields, Group, Span } from './saved-objects.ts';
import { fieldOf, idsInMap, numberIn, readGroups, readStruct, structsOf } from './saved-objects.ts';

/**
 * Corrects the saved epoll objects of older gVisors, including Debian 13's, in place.
 *
 * An *interest* is what a program registered with an epoll for one file. gVisor removes interests from the list of
 * ready ones without clearing all links between them. So a deleted interest, whose file is closed, can still be reached
 * from its former neighbor. It is saved with it and restored as ready: the program gets an event for a file that it
 * has closed, with a pointer that it has freed. Programs built with Bun call what that pointer points to. Moreover, a
 * list that is saved while an interest joins it is restored torn, and its program waits for ever (google/gvisor#14147).
 *
 * A restore marks every interest that asks for any events as ready, so that it is checked. So interests that no epoll
 * owns any more must ask for nothing, and all lists must be empty; the restore fills them.
 */
export function clearEpolls(objects: Buffer): void {
  for (const group of readGroups(objects)) {
    const epolls = [...structsOf(group, 'pkg/sentry/vfs.EpollInstance').values()];
    const live = new Set(epolls.flatMap((epoll) => idsInMap(group, fieldOf(epoll, 'interest'))));
    for (const [id, interest] of structsOf(group, 'pkg/sentry/vfs.epollInterest')) {
      if (!live.has(id)) clear(objects, numberIn(group, fieldOf(interest, 'mask'), kinds.uint));
      clear(objects, numberIn(group, fieldOf(interest, 'ready'), kinds.bool));
    }
    for (const epoll of epolls) clearList(group, readStruct(group, fieldOf(epoll, 'ready')));
  }
}

function clearList(group: Group, list: Fields): void {
  for (const end of ['head', 'tail']) clear(group.bytes, numberIn(group, fieldOf(list, end), kinds.ref));
}

/** Sets a number to 0 without changing its length: all bytes but the last say that more follow. */
function clear(bytes: Buffer, span: Span | undefined): void {
  if (span === undefined) return;
  bytes.fill(0x80, span.start, span.end);
  bytes[span.end - 1] = 0;
}
