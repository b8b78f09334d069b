/** Splits output into lines of at most `maxLength` characters. `rest` is the unfinished last line. */
export function splitLines(text: string, maxLength: number): { readonly lines: string[]; readonly rest: string } {
  const whole = text.split('\n');
  const last = piecesOf(whole.pop() ?? '', maxLength);
  const rest = last.pop() ?? '';
  const lines = whole.flatMap((line) => piecesOf(line.replace(/\r$/, ''), maxLength));
  return { lines: [...lines, ...last], rest };
}

/** At least one, which may be empty. */
function piecesOf(line: string, maxLength: number): string[] {
  const pieces: string[] = [];
  for (let at = 0; at < line.length || at === 0; at += maxLength) pieces.push(line.slice(at, at + maxLength));
  return pieces;
}

/** The amount of output that a log still accepts. */
export interface LineBudget {
  bytes: number;
  lines: number;
}

/** Each line costs this much in addition to its text. */
const lineBytes = 100;

/**
 * Takes the cost of a line off every budget, if it fits into all of them. Otherwise takes nothing and returns false.
 */
export function spendLine(length: number, budgets: readonly LineBudget[]): boolean {
  const cost = length + lineBytes;
  if (budgets.some(({ bytes, lines }) => lines < 1 || bytes < cost)) return false;
  for (const budget of budgets) {
    budget.bytes -= cost;
    budget.lines -= 1;
  }
  return true;
}
