/**
 * Where the supervisor hands its parts to the systemd units of the Debian package. systemd makes the folder for
 * soulbox.service; only root may enter it.
 */
export const unitSocketPath = '/run/soulbox/parts.sock';

/** Limits of the message that the supervisor sends to a unit. */
export const unitMessageMax = { bytes: 64 * 1024, descriptors: 16 } as const;

/**
 * What a unit receives, as one line of JSON, together with descriptors: the program that it becomes. The program finds
 * the descriptors from `channelFd` on. One more follows them if the unit reports its readiness to systemd.
 */
export interface UnitLaunch {
  /** The first one is a path, or a name to which the unit's PATH leads. */
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}
