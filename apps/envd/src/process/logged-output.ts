import type { LifeLog } from '../life-log.ts';

/** Longer lines are cut. */
const lineMaxBytes = 2048;
/** What a line costs in addition to its bytes. */
const lineCost = 128;
/** What all commands together may log: in the long run, and at once. The log keeps no more than that in any case. */
const bytesPerSecond = 64 * 1024;
const burstBytes = 128 * 1024;
const newline = 10;
const carriageReturn = 13;

/** How much output the commands of a sandbox may still log. */
export interface OutputAllowance {
  isSpent(): boolean;
  /** May exceed what is left; the next lines pay for it. */
  spend(bytes: number): void;
}

export function createOutputAllowance(now: () => number = Date.now): OutputAllowance {
  let left = burstBytes;
  let countedAt = now();
  return {
    isSpent() {
      const at = now();
      left = Math.min(burstBytes, left + (Math.max(0, at - countedAt) / 1000) * bytesPerSecond);
      countedAt = at;
      return left <= 0;
    },
    spend(bytes) {
      left -= bytes;
    },
  };
}

/** The lines of one stream of a command, for the log of the sandbox. */
export interface LoggedOutput {
  take(bytes: Uint8Array): void;
  /** Logs the last line, which may have no end. */
  end(): void;
}

/**
 * Output beyond the allowance is not even searched for lines, so that a command with much output stays as fast as
 * without a log. `fields` say which command it is.
 */
export function createLoggedOutput(
  log: Pick<LifeLog, 'recordOutput'>,
  allowance: OutputAllowance,
  fields: Readonly<Record<string, string>>,
): LoggedOutput {
  const held = Buffer.alloc(lineMaxBytes);
  let length = 0;
  let isCut = false;
  /** The rest of a line whose beginning was left out. */
  let skips = false;
  let leftOutBytes = 0;

  const tellLeftOut = (): void => {
    if (leftOutBytes === 0) return;
    log.recordOutput('warn', 'Output was left out: too much in a short time', {
      ...fields,
      bytes: String(leftOutBytes),
    });
    leftOutBytes = 0;
  };

  const endLine = (): void => {
    allowance.spend(length + lineCost);
    const end = !isCut && held[length - 1] === carriageReturn ? length - 1 : length;
    const text = held.toString('utf8', 0, end);
    // A cut may be inside a character.
    const line = isCut ? `${text.replace(/\uFFFD$/, '')}…` : text;
    if (line !== '') {
      tellLeftOut();
      log.recordOutput('info', line, fields);
    }
    [length, isCut] = [0, false];
  };

  const hold = (bytes: Uint8Array): void => {
    const taken = bytes.subarray(0, lineMaxBytes - length);
    held.set(taken, length);
    length += taken.length;
    if (taken.length < bytes.length) isCut = true;
  };

  return {
    take(bytes) {
      for (let at = 0; at < bytes.length;) {
        if (allowance.isSpent()) {
          leftOutBytes += length + bytes.length - at;
          [length, isCut, skips] = [0, false, true];
          return;
        }
        const found = bytes.indexOf(newline, at);
        const end = found === -1 ? bytes.length : found;
        if (skips) leftOutBytes += end - at;
        else hold(bytes.subarray(at, end));
        at = end + 1;
        if (found === -1) return;
        if (!skips) endLine();
        skips = false;
      }
    },
    end() {
      if (length > 0) endLine();
      tellLeftOut();
    },
  };
}
