import { availableParallelism, totalmem } from 'node:os';
import { defaultIsolation, isolations } from '@soulbox/contract';
import { exportKeyForm } from '@soulbox/contract/export-file';
import { z } from 'zod';
import { flag, key, wholeNumber } from '@soulbox/base/config';
import type { ConfigOf } from '@soulbox/base';
import { defaultImageMap, imageMapSchema } from './image-map.ts';

const nameServers: z.ZodType<readonly string[]> = z
  .string()
  .transform((text) => text.split(',').map((entry) => entry.trim()))
  .pipe(z.array(z.ipv4()).max(3));

const proxyUrl: z.ZodType<string> = z.url({ protocol: /^https?$/, error: 'must be an http or https URL' });

const names: z.ZodType<readonly string[]> = z
  .string()
  .transform((text) => text.split(',').map((entry) => entry.trim()))
  .pipe(z.array(z.string().min(1)));

const exportKeys: z.ZodType<readonly string[]> = z
  .string()
  .transform((text) => text.split(',').map((entry) => entry.trim()))
  .pipe(z.array(z.string().regex(exportKeyForm, 'must be 43 characters of base64url')).max(100));

/** Settings of the runner. One number, text or list each; docs/config.md is generated from this table. */
export const runnerConfigSchema = {
  instance: key(
    'SOULBOX_INSTANCE',
    wholeNumber(0, 14),
    0,
    'Number of this server on the host; each of up to 15 servers needs another one. It determines uid ranges, addresses, and the names of interfaces, nft table and cgroup.',
  ),
  poolSize: key(
    'SOULBOX_POOL_SIZE',
    wholeNumber(0, 1000),
    4,
    'Number of warm sandboxes kept ready for the default template. For any other template or snapshot that was used at least twice recently, the number follows the largest burst of creates, up to four times this setting. 0 boots every sandbox on demand.',
  ),
  poolMemoryMb: key(
    'SOULBOX_POOL_MEMORY_MB',
    wholeNumber(0, 1_073_741_824),
    Math.floor(totalmem() / 2 ** 20 / 8),
    'MiB of memory for the warm sandboxes of all templates except the default one. Beyond it, those of the least recently used template are removed. Default: an eighth of the host’s memory.',
  ),
  poolIdleSeconds: key(
    'SOULBOX_POOL_IDLE_SECONDS',
    wholeNumber(1, 604_800),
    600,
    'Seconds without a create after which the spares of a template or snapshot are removed, except those of the default template.',
  ),
  bootConcurrency: key(
    'SOULBOX_BOOT_CONCURRENCY',
    wholeNumber(1, 256),
    // One more than can run at once, because each waits for the kernel now and then.
    availableParallelism() + 1,
    'Sandboxes that may boot at the same time; more wait. Default: the number of CPUs plus one.',
  ),
  maxSandboxes: key(
    'SOULBOX_MAX_SANDBOXES',
    wholeNumber(1, 4000),
    1000,
    'Maximum number of running sandboxes on this host, not counting warm spares and paused ones. Beyond it, a create returns 429.',
  ),
  maxPaused: key(
    'SOULBOX_MAX_PAUSED',
    wholeNumber(0, 1_000_000),
    10_000,
    'Maximum number of paused sandboxes on this host. Beyond it, a pause fails and the sandbox continues to run.',
  ),
  pauseDurability: key(
    'SOULBOX_PAUSE_DURABILITY',
    z.enum(['on-return', 'in-background']),
    'on-return',
    'When a pause returns: `on-return` when the checkpoint is safe on the disk, `in-background` as soon as the sandbox is frozen. In the latter case, a crash of the host before the checkpoint is saved loses the sandbox.',
  ),
  pauseGraceSeconds: key(
    'SOULBOX_PAUSE_GRACE_SECONDS',
    wholeNumber(0, 86_400),
    10,
    'Seconds for which a sandbox paused in the background stays frozen in memory. Until then, a resume takes a few milliseconds.',
  ),
  archiveAfterSeconds: key(
    'SOULBOX_ARCHIVE_AFTER_SECONDS',
    wholeNumber(0, 31_536_000),
    3600,
    'Seconds after which the memory of a paused sandbox, or of a snapshot that nobody uses, is compressed. The next use waits for decompression, about a second for each GiB. 0 disables compression.',
  ),
  makeTemplates: key(
    'SOULBOX_MAKE_TEMPLATES',
    z.enum(['by-need', 'never']),
    'by-need',
    'Whether SoulBox builds one of its own templates from Debian packages when the first sandbox of it is requested. With `never`, only `soulbox template make` does this.',
  ),
  damagedStateHours: key(
    'SOULBOX_DAMAGED_STATE_HOURS',
    wholeNumber(0, 8760),
    168,
    'Hours for which a checkpoint is kept for inspection if it proved damaged while its sandbox was already running (16 checkpoints at most). 0: not kept.',
  ),
  isolation: key(
    'SOULBOX_ISOLATION',
    z.enum(isolations),
    defaultIsolation,
    'Isolation of sandboxes for which neither the request, the key nor the template specifies one.',
  ),
  maxBuilds: key(
    'SOULBOX_MAX_BUILDS',
    wholeNumber(1, 64),
    availableParallelism(),
    'Concurrent template builds; more wait. Default: the number of CPUs.',
  ),
  buildTimeoutMinutes: key(
    'SOULBOX_BUILD_TIMEOUT_MINUTES',
    wholeNumber(1, 10_080),
    60,
    'Minutes after which a template build is aborted.',
  ),
  buildReadySeconds: key(
    'SOULBOX_BUILD_READY_SECONDS',
    wholeNumber(1, 86_400),
    600,
    'Seconds within which the ready command of a template build must succeed after the start command.',
  ),
  buildCacheMb: key(
    'SOULBOX_BUILD_CACHE_MB',
    wholeNumber(0, 1_073_741_824),
    20_480,
    'MiB for the cache of template builds: finished steps, results, roots of images. The least recently used entries are removed first. Entries that templates need are not counted.',
  ),
  buildCacheHours: key(
    'SOULBOX_BUILD_CACHE_HOURS',
    wholeNumber(1, 87_600),
    168,
    'Hours for which an unused entry stays in the cache of template builds.',
  ),
  images: key(
    'SOULBOX_IMAGES',
    imageMapSchema,
    defaultImageMap,
    'Where template builds take images from, as pattern=target, separated by commas; the first match counts. A pattern such as `debian:*` is for the name with its tag. A target is `template:NAME` or another image, in which `*` stands for the text that `*` of the pattern matched.',
  ),
  privateRegistries: key(
    'SOULBOX_PRIVATE_REGISTRIES',
    names,
    [],
    'Registries, as host or host:port separated by commas, that template builds may use although they are at private addresses or on this host; also the hosts to which such a registry redirects for logins and layers.',
  ),
  insecureRegistries: key(
    'SOULBOX_INSECURE_REGISTRIES',
    names,
    [],
    'The same for registries with plain HTTP or an untrusted certificate.',
  ),
  registryProxy: key(
    'SOULBOX_REGISTRY_PROXY',
    proxyUrl,
    '',
    'URL of an HTTP proxy for registries, except those of the two lists. The proxy receives addresses, not host names. Empty: the value of `HTTPS_PROXY`.',
  ),
  maxProcesses: key(
    'SOULBOX_MAX_PROCESSES',
    wholeNumber(64, 100_000),
    2048,
    'Processes and threads one sandbox may have.',
  ),
  mergeMemory: key(
    'SOULBOX_MERGE_MEMORY',
    flag,
    false,
    'Whether the kernel may keep equal memory of containers once (KSM), so that forks and idle sandboxes take less memory. Turns KSM on for the whole host. Off by default, because it is a side channel: the time of a write tells a sandbox whether another one has the same page in memory. Only for hosts on which sandboxes need not be kept from learning this. Needs a recent kernel (docs/operations.md).',
  ),
  hostCpuPercent: key(
    'SOULBOX_HOST_CPU_PERCENT',
    wholeNumber(0, 90),
    5,
    'Percent of all CPU time that is kept for the server and everything else on the host. With 0, sandboxes can use all of it, and on many kernels a busy sandbox can starve the host.',
  ),
  encryptDisks: key(
    'SOULBOX_ENCRYPT_DISKS',
    flag,
    false,
    'Whether the kernel encrypts the folders with the files of tenants (fscrypt): disks of sandboxes, layers, uploads, dependencies, functions, contents of volumes, files of mounted buckets. Needs ext4 with the feature `encrypt`, and empty folders. An encrypted data folder stays encrypted without this setting. Off by default, because few file systems have the feature, disks that are encrypted as a whole do not need it, and it is slow on kernels without accelerated AES (docs/secrets.md).',
  ),
  diskReserveMb: key(
    'SOULBOX_DISK_RESERVE_MB',
    wholeNumber(64, 10_485_760),
    512,
    'MiB of the disk of the data folder that sandboxes can never use. The larger of this and `SOULBOX_DISK_RESERVE_PERCENT` applies.',
  ),
  diskReservePercent: key(
    'SOULBOX_DISK_RESERVE_PERCENT',
    wholeNumber(0, 90),
    2,
    'Percent of the disk of the data folder that sandboxes can never use.',
  ),
  diskOvercommit: key(
    'SOULBOX_DISK_OVERCOMMIT',
    wholeNumber(1, 1000),
    40,
    'Ratio of the disk size that a sandbox sees to the part that is promised to it: for a disk of 10 GiB, 40 promises 256 MiB. A create whose promise cannot be kept returns 507. Free space beyond all promises is shared by the sandboxes that write. With 1, every sandbox is guaranteed its whole disk.',
  ),
  dependencyCacheMb: key(
    'SOULBOX_DEPENDENCY_CACHE_MB',
    wholeNumber(0, 1_048_576),
    2048,
    'MiB of installed dependencies kept for each team, for runs that share them. 0 disables the cache.',
  ),
  dependencyCacheHours: key(
    'SOULBOX_DEPENDENCY_CACHE_HOURS',
    wholeNumber(1, 8760),
    168,
    'Hours after which cached dependencies are installed again.',
  ),
  slowOperationMs: key(
    'SOULBOX_SLOW_OPERATION_MS',
    wholeNumber(0, 86_400_000),
    5000,
    'Milliseconds from which on the log line of a create, end, pause, resume, fork or snapshot, with the duration of each phase, is a warning with `slow`. 0: never.',
  ),
  importTrustedKeys: key(
    'SOULBOX_IMPORT_TRUSTED_KEYS',
    exportKeys,
    [],
    'Public keys of other servers whose exports may be imported, separated by commas (`soulbox inspect` shows the key of a file). The kernel mounts the disks of an import, and CRIU restores its memory as root: trust only servers whose operator you trust like yourself. The own exports of a server are always accepted.',
  ),
  nameServers: key(
    'SOULBOX_NAME_SERVERS',
    nameServers,
    ['1.1.1.1', '8.8.8.8'],
    'IPv4 addresses of up to three name servers for sandboxes, separated by commas. A private one is opened on port 53 only.',
  ),
};

export type RunnerConfig = ConfigOf<typeof runnerConfigSchema>;
