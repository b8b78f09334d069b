import type { Readable } from 'node:stream';

/** Which volume a call is about. */
export interface VolumePlace {
  readonly teamId: string;
  readonly groupId: string;
  readonly volumeId: string;
}

export interface VolumeCall extends VolumePlace {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Empty: the volume itself. */
  readonly what: '' | 'dir' | 'path' | 'file' | 'copy';
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as it comes. */
  readonly body?: AsyncIterable<Uint8Array>;
  /** Ends the call, also while its answer is read. */
  readonly signal: AbortSignal;
}

export interface VolumeAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** Must be read or destroyed. */
  readonly body: Readable;
}

/** The process that has the contents of volumes (docs/decisions/066-volume-service.md). */
export interface VolumeService {
  /**
   * Throws the error of the service, such as `file_not_found` or `disk_full`, and `volumes_unavailable` if it does not
   * answer.
   */
  call(call: VolumeCall): Promise<VolumeAnswer>;
}
