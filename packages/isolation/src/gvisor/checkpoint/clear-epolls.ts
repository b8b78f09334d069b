import { kinds } from './object-reader.ts';
import type { Fields, Group, Span } from './saved-objects.ts';
import { fieldOf, idsInMap, numberIn, readGroups, readStruct, structsOf } from './saved-objects.ts';

/**
 * Corrects in place what older gVisors, Debian 13's among them, save of epoll.
 *
 * An *interest* is what a program asked of an epoll about one file. gVisor takes interests off the list of ready ones without
 * clearing all links between them, so that one that was deleted, its file closed, can still be reached from its former neighbour.
 * It is saved, and comes back as ready: the program is told of a file that it has closed, under an address it has freed.
 * Programs of Bun call what that points to. Moreover a list that was saved while something joined it comes back torn,
 * and its program waits for ever (google/gvisor#14147).
 *
 * A restore marks every interest as ready that asks for anything, to have it looked at. So those that no epoll has any more
 * shall ask for nothing, and all lists shall be empty, to be filled by the restore.
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

/** Makes a number 0 without changing its length: all but the last byte say that it goes on. */
function clear(bytes: Buffer, span: Span | undefined): void {
  if (span === undefined) return;
  bytes.fill(0x80, span.start, span.end);
  bytes[span.end - 1] = 0;
}
