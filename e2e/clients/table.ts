import { compareVersions } from './install.ts';

/** The result of each step: `works`, `absent` (the version has no such function), `501`, or the failure. */
export type Outcomes = Readonly<Record<string, string>>;

/** With the addresses of `soulbox env --tls`, and with those of `soulbox env`. The columns of the tables, in order. */
export const addressForms = ['tls', 'plain'] as const;
export type AddressForm = (typeof addressForms)[number];

/** What docs/clients.md promises of a package: the cells of each step. */
export type Table = ReadonlyMap<string, Readonly<Record<AddressForm, string>>>;

type Kind = 'works' | 'absent' | '501' | 'fails';

export function kindOf(outcome: string): Kind {
  return outcome === 'works' || outcome === 'absent' || outcome === '501' ? outcome : 'fails';
}

const rowForm = /^\| `([a-z0-9-]+)` +\|.*\| *([^|]*?) *\| *([^|]*?) *\|$/;

/** The table below the heading of a package. Throws when there is none. */
export function parseTable(document: string, packageName: string): Table {
  const rows = linesOf(document, packageName).map((line) => rowForm.exec(line));
  const cells = rows.flatMap((row) =>
    row === null ? [] : [[row[1] ?? '', { tls: row[2] ?? '', plain: row[3] ?? '' }]],
  );
  if (cells.length === 0) throw new Error(`docs/clients.md has no table for ${packageName}.`);
  return new Map(cells as [string, Record<AddressForm, string>][]);
}

/** The same document with its cells replaced by those of `table`. */
export function withTable(document: string, packageName: string, table: Table): string {
  const own = new Set(linesOf(document, packageName));
  return document
    .split('\n')
    .map((line) => {
      const cells = own.has(line) ? table.get(rowForm.exec(line)?.[1] ?? '') : undefined;
      if (cells === undefined) return line;
      return `${line.split('|').slice(0, 3).join('|')}| ${cells.tls} | ${cells.plain} |`;
    })
    .join('\n');
}

function linesOf(document: string, packageName: string): string[] {
  const [, section = ''] = document.split(`\n## \`${packageName}\`\n`);
  return (section.split('\n## ')[0] ?? '').split('\n');
}

const spanForm = /^(?:(501|fails) )?(?:all|(?:from (\S+))|(?:to (\S+))|(\S+) to (\S+)|(\d\S*))$/;

/**
 * The meaning of a cell such as `2.0.1 to 2.5.0, 501 from 2.24.0` for a version. A version outside all spans has no
 * such function.
 */
export function expectedOf(cell: string, version: string): Kind {
  const found = cell
    .split(', ')
    .filter((text) => text !== '–')
    .map((text) => {
      const span = spanForm.exec(text);
      if (span === null) throw new Error(`docs/clients.md: "${text}" names no versions.`);
      const [, kind = 'works', from, to, first, last, only] = span;
      return { kind: kind as Kind, from: from ?? first ?? only, to: to ?? last ?? only };
    })
    .find(
      ({ from, to }) =>
        (from === undefined || compareVersions(from, version) <= 0) &&
        (to === undefined || compareVersions(version, to) <= 0),
    );
  return found?.kind ?? 'absent';
}

/** The cell for the results of all versions. The last span stays open for future versions. */
export function renderCell(seen: readonly (readonly [version: string, kind: Kind])[]): string {
  const spans: { kind: Kind; first: number; last: number }[] = [];
  for (const [index, [, kind]] of seen.entries()) {
    const span = spans.at(-1);
    if (span?.kind === kind) span.last = index;
    else spans.push({ kind, first: index, last: index });
  }
  const at = (index: number): string => seen[index]?.[0] ?? '';
  const texts = spans
    .filter(({ kind }) => kind !== 'absent')
    .map(({ kind, first, last }) => {
      const [isFirst, isLast] = [first === 0, last === seen.length - 1];
      const whole = isFirst && isLast ? 'all' : isLast ? `from ${at(first)}` : isFirst ? `to ${at(last)}` : '';
      const inner = first === last ? at(first) : `${at(first)} to ${at(last)}`;
      return `${kind === 'works' ? '' : `${kind} `}${whole === '' ? inner : whole}`;
    });
  return texts.length === 0 ? '–' : texts.join(', ');
}
