import { closeSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { ControlSettings } from '@soulbox/control';
import type { ObjectProcessSettings } from '@soulbox/object-process';
import { bindUnix, userOf } from '@soulbox/process';
import type { VolumeProcessSettings } from '@soulbox/volume-service';
import type { RunnerProcessSettings } from '@soulbox/runner/process';
import type { BoxConfig } from '../config.ts';
import { prepareStorage } from '../storage/prepare.ts';
import { makeServiceFolder } from './part-folders.ts';
import type { ServiceFolder } from './part-folders.ts';

/** Variables from which the SDKs of the stores take credentials, proxies and certificates. */
const storeVariables = /^(?:AWS_|GOOGLE_|AZURE_|(?:https?|no)_proxy$|SSL_CERT_|HOME$)/i;

/** The socket as the volume service sees it. */
const objectsName = 'objects.sock';

const credentialVariables = /^(?:AWS_|GOOGLE_|AZURE_)/i;

/** What the parts get of the object store: only one of them reaches it, and only the others have keys. */
export interface StorageOfParts {
  /** User and group of the process that speaks to the store. */
  readonly id: number;
  /** The bound socket. */
  readonly socket: number;
  readonly forProcess: Omit<ObjectProcessSettings, 'descriptor'>;
  readonly forRunner: NonNullable<RunnerProcessSettings['storage']>;
  readonly forControl: NonNullable<ControlSettings['storage']>;
  /** Its root folder is that of its service, in which it sees its data and the socket. */
  readonly forVolumes: {
    readonly root: string;
    readonly groups: readonly number[];
    readonly storage: NonNullable<VolumeProcessSettings['storage']>;
  };
  environmentOf(environment: Readonly<Record<string, string>>): Record<string, string>;
  /** For all other parts. */
  withoutCredentials(environment: Readonly<Record<string, string>>): Record<string, string>;
}

/** Throws `config_invalid`. The socket is closed with `started`. */
export async function openStorage(
  config: BoxConfig,
  volumes: ServiceFolder,
  started: AsyncDisposableStack,
): Promise<StorageOfParts> {
  const { instance } = config.runner;
  const id = userOf(instance, 'objects');
  const prepared = await prepareStorage(
    { ...config.storage, cacheCredentialsFile: config.cache.redisCredentialsFile },
    config.dataDirectory,
    id,
  );
  const { url, credentialsFile, folder, serverId, owner, keys } = prepared;
  const place = await makeServiceFolder(instance, 'objects', id);
  const socket = bindUnix(place.socket, id);
  started.defer(() => closeSync(socket));
  const { volumeLocalMb } = config.storage;
  const socketForVolumes = join(volumes.path, objectsName);
  // The kernel mounts a socket on a file.
  await writeFile(socketForVolumes, '', { mode: 0o600 });
  return {
    ...{ id, socket },
    forProcess: {
      cell: { id, opensConnections: true },
      credentialsFile,
      cache: config.cache,
      ...(folder === undefined
        ? { url }
        : { url: `file://${place.data}`, dataMount: { from: folder, to: place.data } }),
    },
    forRunner: {
      socket: place.socket,
      serverId,
      owner,
      keys: { runner: keys.runner, owner: keys.owner },
      localMb: config.storage.localMb,
    },
    forControl: {
      ...{ socket: place.socket, serverId, nonce: owner.nonce },
      keys: { control: keys.control, owner: keys.owner },
    },
    forVolumes: {
      ...{ root: volumes.path, groups: [id] },
      storage: {
        socketMount: { from: place.socket, to: socketForVolumes },
        ...{ socket: `/${objectsName}`, directory: `/${basename(volumes.data)}` },
        ...{ serverId, owner, key: keys.volumes, localMb: volumeLocalMb === 0 ? undefined : volumeLocalMb },
      },
    },
    environmentOf: (environment) => only(environment, (name) => storeVariables.test(name)),
    withoutCredentials: (environment) => only(environment, (name) => !credentialVariables.test(name)),
  };
}

function only(
  environment: Readonly<Record<string, string>>,
  isMeant: (name: string) => boolean,
): Record<string, string> {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => isMeant(name)));
}
