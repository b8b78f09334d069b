import { stripVTControlCharacters, styleText } from 'node:util';
import { readSetting } from '../settings/read-setting.ts';
import { showBytes } from './table.ts';

export interface Meter extends Disposable {
  /** The bytes of all so far, and what else is to be shown. */
  show(bytes: number, note?: string): void;
}

interface MeterOptions {
  /** Of everything, if it is known. */
  readonly totalBytes?: number | undefined;
  readonly quiet?: boolean | undefined;
  /** Where nobody watches, and for those who do not want it. */
  readonly isNever?: boolean;
  readonly now?: () => number;
  /** Where it is drawn. */
  readonly output?: Pick<NodeJS.WriteStream, 'isTTY' | 'columns' | 'write'>;
}

const stepMs = 200;
const barColumns = 20;
/** Of a terminal that does not say. */
const usualColumns = 80;

/**
 * Shows how far a transfer is, as one line of standard error: only on a terminal, not with `quiet`, and not where the
 * setting `progress` says `never`, as with `CI`. Disposing clears the line. NO_COLOR turns off colors.
 */
export function createMeter(label: string, options: MeterOptions = {}): Meter {
  const {
    totalBytes,
    quiet = false,
    isNever = readSetting('progress') === 'never',
    now = Date.now,
    output = process.stderr,
  } = options;
  const isShown = output.isTTY && !quiet && !isNever;
  const startedAt = now();
  let shownAt = 0;
  return {
    show(bytes, note = '') {
      if (!isShown || now() - shownAt < stepMs) return;
      shownAt = now();
      const seconds = Math.max(0.001, (shownAt - startedAt) / 1000);
      const facts = [showBytes(bytes), `${showBytes(bytes / seconds)}/s`, note, `${seconds.toFixed(0)} s`];
      const bar = totalBytes === undefined ? '' : `${renderBar(bytes / Math.max(1, totalBytes))} `;
      const text = `${label} ${bar}${facts.filter((fact) => fact !== '').join('  ')}`;
      const line = text.slice(0, Math.max(1, (output.columns || usualColumns) - 1));
      const styled = styleText('cyan', line.slice(0, label.length), { stream: process.stderr });
      output.write(`\r\x1b[2K${styled}${stripVTControlCharacters(line.slice(label.length))}`);
    },
    [Symbol.dispose]() {
      if (isShown && shownAt > 0) output.write('\r\x1b[2K');
    },
  };
}

function renderBar(share: number): string {
  const part = Math.min(1, Math.max(0, share));
  const filled = Math.floor(part * barColumns);
  return `[${'#'.repeat(filled)}${'.'.repeat(barColumns - filled)}] ${String(Math.floor(part * 100)).padStart(3)}%`;
}
