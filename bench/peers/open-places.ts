import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { hasMoto, startMoto } from '@soulbox/storage/testing';
import { createVolume } from '@soulbox/volumes';
import { mountVolume } from '@soulbox/volumes/mounted';
import { bucketMounters, mountBucket } from './mount-bucket.ts';
import type { MissingPlace, Place } from './place.ts';

export interface Places extends AsyncDisposable {
  /** Folders of one disk: the disk itself, and a volume on it. */
  readonly disk: Place;
  readonly volume: Place;
  /** What shows a bucket as a file system, and has its cache on that disk. */
  readonly peers: readonly (Place | MissingPlace)[];
}

/** Of which there is no package to install here. */
const absent: readonly MissingPlace[] = ['geesefs', 'mountpoint-s3'].map((name) => ({
  ...{ name, missing: 'neither Debian nor npm has it' },
}));

/** All places of a comparison, in `folder`. The store is moto_server, in memory on this host. */
export async function openPlaces(folder: string): Promise<Places> {
  await using open = new AsyncDisposableStack();
  const disk = join(folder, 'disk');
  await mkdir(disk);
  const data = join(folder, 'volume');
  createVolume(data, {
    ...{ id: 'v', quota: { bytes: undefined, inodes: undefined } },
    root: { uid: 0, gid: 0, mode: 0o755 },
  });
  const volume = open.use(await mountVolume(data, 1, { asService: true }));
  const peers: (Place | MissingPlace)[] = [];
  if (hasMoto) {
    const moto = open.use(await startMoto());
    const [endpoint, name] = [moto.url, 'peers'];
    for (const mounter of bucketMounters) {
      const bucket = { endpoint, name: `${name}-${mounter.name.split(' ')[0] ?? ''}` };
      await makeBucket(bucket);
      const work = join(folder, bucket.name);
      await mkdir(work);
      const place = await mountBucket(mounter, bucket, work);
      if ('folder' in place) open.use(place);
      peers.push(place);
    }
  } else for (const { name } of bucketMounters) peers.push({ name, missing: 'moto_server is not installed' });
  const opened = open.move();
  return {
    disk: { name: 'disk', folder: disk, [Symbol.asyncDispose]: () => Promise.resolve() },
    volume: { name: 'volume', folder: volume.mounts[0] ?? '', [Symbol.asyncDispose]: () => Promise.resolve() },
    peers: [...peers, ...absent],
    [Symbol.asyncDispose]: async () => await opened.disposeAsync(),
  };
}

async function makeBucket({ endpoint, name }: { readonly endpoint: string; readonly name: string }): Promise<void> {
  const client = new S3Client({
    ...{ region: 'us-east-1', endpoint, forcePathStyle: true },
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
  });
  await client.send(new CreateBucketCommand({ Bucket: name }));
  client.destroy();
}
