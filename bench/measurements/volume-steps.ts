import type { Aim, Unit } from '../measurement.ts';

/** One step of `volume-work.py`. */
interface VolumeStep {
  readonly name: string;
  readonly what: string;
  readonly unit: Unit;
  /** How much of the unit one run does. Absent: its time counts. */
  readonly amount?: number;
  /** For the volume, compared with the median of the disk. */
  readonly aims?: (disk: number) => readonly Aim[];
}

/** In this order: later ones use what earlier ones made. */
export const volumeSteps: readonly VolumeStep[] = [
  {
    ...{ name: 'create', what: '3,000 files of 1 KiB are made', unit: '1/s', amount: 3000 },
    aims: () => [{ at: 'p50', atLeast: 3000 }],
  },
  {
    ...{ name: 'write', what: '256 MiB are written, with fsync', unit: 'MiB/s', amount: 256 },
    aims: (disk) => [{ at: 'p50', atLeast: Math.round(0.8 * disk) }],
  },
  {
    ...{ name: 'read', what: '256 MiB are read, not from the page cache', unit: 'MiB/s', amount: 256 },
    aims: (disk) => [{ at: 'p50', atLeast: Math.round(0.8 * disk) }],
  },
  { name: 'random-read', what: '4 KiB are read anywhere', unit: '1/s', amount: 5000 },
  { name: 'random-write', what: '4 KiB are written anywhere', unit: '1/s', amount: 5000 },
  { name: 'clone', what: 'git clone of 5,000 files', unit: 'ms' },
  {
    ...{ name: 'npm', what: 'npm ci of 60 packages, 2,460 files', unit: 'ms' },
    aims: (disk) => [{ at: 'p50', atMost: Math.round(1.3 * disk) }],
  },
  { name: 'tar', what: 'tar x of 5,000 files', unit: 'ms' },
  { name: 'remove', what: 'rm -rf of 8,000 files', unit: 'ms' },
];
