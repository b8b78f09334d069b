import type { Schemas } from '../api.ts';
import { chunksOf, openApi, segment } from '../api.ts';
import type { Connection, ConnectionOptions } from '../config.ts';
import { snapshotFromWire } from './copies.ts';
import type { SnapshotInfo } from './copies.ts';
import { upload } from '../upload.ts';

/** The options of an export. */
export interface ExportOptions extends ConnectionOptions {
  /**
   * Also the saved memory, so that programs continue where they were. Fails for a snapshot that has only files.
   * Default: false.
   */
  readonly memory?: boolean | undefined;
}

/** The options of an import. */
export interface ImportOptions extends ConnectionOptions {
  /** The name of the new snapshot, `[team/]name[:tag]`. Default: no name. */
  readonly name?: string | undefined;
  /**
   * What happens to saved memory. `auto`: it is kept if it can be restored on this server. `required`: the import fails
   * with `state_incompatible` if it cannot. `never`: it is left out. Default: `auto`.
   */
  readonly memory?: 'auto' | 'required' | 'never' | undefined;
}

/** A snapshot that was made from a file. */
export interface ImportedSnapshot extends SnapshotInfo {
  /** Whether its sandboxes continue from saved memory. Otherwise they boot from its files. */
  readonly hasMemory: boolean;
  /** Why the memory of the file was left out. Empty: it was not, or there was none. */
  readonly memoryLeftOut: string;
  /**
   * Settings of the network that are not in the file, because they contain secrets. If there are any, sandboxes of the
   * snapshot may connect to nothing until their network is set. Normally empty.
   */
  readonly settingsLeftOut: readonly string[];
}

/** @internal */
export async function* exportFile(
  connection: Connection,
  source: 'sandboxes' | 'snapshots',
  id: string,
  { memory = false }: ExportOptions,
): AsyncGenerator<Uint8Array> {
  // Each export saves the sandbox again and cuts its connections, so it is not repeated.
  const path = `/${source}/${segment(id)}/export`;
  const call = { path, query: { memory: String(memory) }, isStream: true, isMadeOnce: true };
  yield* chunksOf(await openApi(connection, call));
}

/** @internal */
export async function importFile(
  connection: Connection,
  source: AsyncIterable<Uint8Array> | Blob,
  { name, memory }: ImportOptions,
): Promise<ImportedSnapshot> {
  const call = { method: 'POST', path: '/imports', query: { name, memory } } as const;
  const body = await upload<Schemas['ImportedSnapshot']>(connection, call, source, 'application/vnd.soulbox.export');
  const { hasMemory, memoryLeftOut, settingsLeftOut } = body;
  return { ...snapshotFromWire(body), hasMemory, memoryLeftOut, settingsLeftOut };
}
