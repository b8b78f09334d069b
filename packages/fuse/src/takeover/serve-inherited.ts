import type { Awaitable, FuseFs } from '../fuse-fs.ts';
import { serve, type ServeOptions, type Serving } from '../session/serve.ts';
import type { AbandonMessage, ServedMount, ServeMessage, ServerMessage } from './messages.ts';

/**
 * The main function of a server under `superviseMounts`: waits until it is told to serve, calls `open` for each mount,
 * and returns when all mounts are gone. Everything slow that does not touch the data, such as imports, belongs before
 * this call: then a server that stands by takes over at once. `open` reads the journal: the process before is dead when
 * it is called.
 */
export async function serveInherited(
  open: (mount: ServedMount) => Awaitable<FuseFs>,
  options: ServeOptions & { readonly onServing?: (mount: ServedMount, serving: Serving) => void } = {},
): Promise<void> {
  const send = (message: ServerMessage): void => {
    // Without its supervisor a server goes on until the mounts are gone.
    if (process.connected) process.send?.(message);
  };
  if (process.send === undefined) throw new Error('serveInherited runs only in a process started by superviseMounts.');
  const { promise, resolve } = Promise.withResolvers<ServeMessage>();
  const abandoned: PromiseWithResolvers<void> = Promise.withResolvers();
  process.on('message', (sent) => {
    const message = sent as ServeMessage | AbandonMessage;
    if (message.type === 'serve') resolve(message);
    else abandoned.resolve();
  });
  send({ type: 'ready' });
  const { mounts } = await promise;
  const all: Promise<void>[] = [];
  for (const mount of mounts) {
    const serving = await serve(await open(mount), mount, options);
    options.onServing?.(mount, serving);
    void abandoned.promise.then(serving.abandon);
    all.push(serving.closed.then(() => send({ type: 'closed', fd: mount.fd })));
  }
  send({ type: 'serving' });
  await Promise.all(all);
  // An open channel would keep the process.
  if (process.connected) process.disconnect();
}
