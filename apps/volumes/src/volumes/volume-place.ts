export interface VolumePlace {
  readonly teamId: string;
  /** Volumes that were copied from each other share the blocks of their group. */
  readonly groupId: string;
  readonly volumeId: string;
}
