import { availableParallelism, totalmem } from 'node:os';
import { defaultIsolation, isolations } from '@soulbox/contract';
import { z } from 'zod';
import { key, wholeNumber } from '@soulbox/base';
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

/** Settings of the runner. One number, text or list each; docs/config.md is generated from this table. */
export const runnerConfigSchema = {
  instance: key(
    'SOULBOX_INSTANCE',
    wholeNumber(0, 14),
    0,
    'Which of up to 15 servers on this host this is. Decides uid ranges, addresses, interface, nft and cgroup names.',
  ),
  poolSize: key(
    'SOULBOX_POOL_SIZE',
    wholeNumber(0, 1000),
    4,
    'Warm sandboxes kept ready of the default template. Of any other one, or of a snapshot, that was used at least twice of late there are as ' +
      'many as the largest burst of creates took, up to four times this number. 0 makes every sandbox on demand.',
  ),
  poolMemoryMb: key(
    'SOULBOX_POOL_MEMORY_MB',
    wholeNumber(0, 1_073_741_824),
    Math.floor(totalmem() / 2 ** 20 / 8),
    'MiB of memory that warm sandboxes of all but the default template may take together. Where more are wanted, those of what was not ' +
      'used for longest go. Default: an eighth of the host’s memory.',
  ),
  poolIdleSeconds: key(
    'SOULBOX_POOL_IDLE_SECONDS',
    wholeNumber(1, 604_800),
    600,
    'Seconds without a create after which the spares of a template or snapshot are removed, those of the default template excepted.',
  ),
  bootConcurrency: key(
    'SOULBOX_BOOT_CONCURRENCY',
    wholeNumber(1, 256),
    // One more than can run: each waits for the kernel now and then.
    availableParallelism() + 1,
    'Sandboxes that may boot at the same time; more wait their turn. Default: the number of CPUs and one.',
  ),
  maxSandboxes: key(
    'SOULBOX_MAX_SANDBOXES',
    wholeNumber(1, 4000),
    1000,
    'Sandboxes this host may run at once, warm spares and paused ones not counted. Above it a create answers 429.',
  ),
  maxPaused: key(
    'SOULBOX_MAX_PAUSED',
    wholeNumber(0, 1_000_000),
    10_000,
    'Paused sandboxes this host may keep. Above it a pause fails and the sandbox runs on.',
  ),
  pauseDurability: key(
    'SOULBOX_PAUSE_DURABILITY',
    z.enum(['on-return', 'in-background']),
    'on-return',
    'When a pause answers: `on-return` once the state is safe on the disk, `in-background` as soon as the sandbox stands still; ' +
      'a crash of the host before the state is saved then loses the sandbox.',
  ),
  pauseGraceSeconds: key(
    'SOULBOX_PAUSE_GRACE_SECONDS',
    wholeNumber(0, 86_400),
    10,
    'How long a sandbox paused in the background stays frozen in memory, where a resume takes some milliseconds.',
  ),
  archiveAfterSeconds: key(
    'SOULBOX_ARCHIVE_AFTER_SECONDS',
    wholeNumber(0, 31_536_000),
    3600,
    'Seconds after which the memory of a paused sandbox, or of a snapshot that nobody uses, is compressed. Its next use waits ' +
      'for it, about a second for each GiB. 0 compresses nothing.',
  ),
  makeTemplates: key(
    'SOULBOX_MAKE_TEMPLATES',
    z.enum(['by-need', 'never']),
    'by-need',
    'Whether a template of SoulBox itself is made from Debian packages when the first sandbox of it is asked for. With `never` only ' +
      '`soulbox template make` does that.',
  ),
  damagedStateHours: key(
    'SOULBOX_DAMAGED_STATE_HOURS',
    wholeNumber(0, 8760),
    168,
    'How long a saved memory is kept for inspection that turned out damaged when its sandbox ran already (16 at most). 0: not at all.',
  ),
  isolation: key(
    'SOULBOX_ISOLATION',
    z.enum(isolations),
    defaultIsolation,
    'How sandboxes are walled off when neither their creator nor their template says.',
  ),
  maxBuilds: key(
    'SOULBOX_MAX_BUILDS',
    wholeNumber(1, 64),
    availableParallelism(),
    'Template builds that may run at once; more of them wait. Default: the number of CPUs.',
  ),
  buildTimeoutMinutes: key(
    'SOULBOX_BUILD_TIMEOUT_MINUTES',
    wholeNumber(1, 10_080),
    60,
    'Minutes after which a template build is given up.',
  ),
  buildReadySeconds: key(
    'SOULBOX_BUILD_READY_SECONDS',
    wholeNumber(1, 86_400),
    600,
    'Seconds that the ready command of a template build has to succeed after the start command.',
  ),
  buildCacheMb: key(
    'SOULBOX_BUILD_CACHE_MB',
    wholeNumber(0, 1_073_741_824),
    20_480,
    'MiB that the cache of template builds may take: finished steps, results, roots of images. What was not used for longest goes ' +
      'first; what templates need is not counted.',
  ),
  buildCacheHours: key(
    'SOULBOX_BUILD_CACHE_HOURS',
    wholeNumber(1, 87_600),
    168,
    'Hours that what the cache of template builds holds stays there without being used.',
  ),
  images: key(
    'SOULBOX_IMAGES',
    imageMapSchema,
    defaultImageMap,
    'Where template builds take images from, as pattern=target, separated by commas; the first that matches counts. A pattern such as ' +
      '`debian:*` is for the name with its tag. A target is `template:NAME` or another image, in which `*` is what the ' +
      "pattern's matched.",
  ),
  privateRegistries: key(
    'SOULBOX_PRIVATE_REGISTRIES',
    names,
    [],
    'Registries, as host or host:port separated by commas, that template builds may use although they are at private addresses or on ' +
      'this host; also the hosts to which such a registry sends for logins and layers.',
  ),
  insecureRegistries: key(
    'SOULBOX_INSECURE_REGISTRIES',
    names,
    [],
    'Likewise, and they speak plain HTTP or have a certificate that nobody vouches for.',
  ),
  registryProxy: key(
    'SOULBOX_REGISTRY_PROXY',
    proxyUrl,
    '',
    'URL of an HTTP proxy by which registries are reached, but for those of the two lists. It is asked for addresses, not for names. ' +
      'Empty: what `HTTPS_PROXY` says.',
  ),
  maxProcesses: key(
    'SOULBOX_MAX_PROCESSES',
    wholeNumber(64, 100_000),
    2048,
    'Processes and threads one sandbox may have.',
  ),
  hostCpuPercent: key(
    'SOULBOX_HOST_CPU_PERCENT',
    wholeNumber(0, 90),
    5,
    'Percent of all CPU time that sandboxes together leave to the server and to everything else on the host. With 0 they can take all ' +
      'of it, which on many kernels lets a busy sandbox starve the host.',
  ),
  diskReserveMb: key(
    'SOULBOX_DISK_RESERVE_MB',
    wholeNumber(64, 10_485_760),
    512,
    'Mebibytes of the disk of the data folder that sandboxes never get, whatever they write. The larger of this and the next counts.',
  ),
  diskReservePercent: key(
    'SOULBOX_DISK_RESERVE_PERCENT',
    wholeNumber(0, 90),
    2,
    'Percent of that disk that sandboxes never get.',
  ),
  diskOvercommit: key(
    'SOULBOX_DISK_OVERCOMMIT',
    wholeNumber(1, 1000),
    40,
    'How many times more disk sandboxes are told to have than is promised to each: of a disk of 10 GiB, 40 promises 256 MiB. A create ' +
      'that the promise cannot be kept to answers 507. What is free beyond all promises is shared by those that write. With 1 every ' +
      'sandbox has all of its disk for certain.',
  ),
  dependencyCacheMb: key(
    'SOULBOX_DEPENDENCY_CACHE_MB',
    wholeNumber(0, 1_048_576),
    2048,
    'Mebibytes of installed dependencies kept for each team, for runs that ask to share them. 0 keeps none.',
  ),
  dependencyCacheHours: key(
    'SOULBOX_DEPENDENCY_CACHE_HOURS',
    wholeNumber(1, 8760),
    168,
    'Hours after which kept dependencies are installed anew.',
  ),
  nameServers: key(
    'SOULBOX_NAME_SERVERS',
    nameServers,
    ['1.1.1.1', '8.8.8.8'],
    'IPv4 addresses of up to three name servers for sandboxes, separated by commas. A private one is opened on port 53 only.',
  ),
};

export type RunnerConfig = ConfigOf<typeof runnerConfigSchema>;
