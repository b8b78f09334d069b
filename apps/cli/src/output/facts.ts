/** One `name: value` per line, with values in one column. Values other than strings are shown as JSON. */
export function renderFacts(facts: Readonly<Record<string, unknown>>): string {
  const width = Math.max(...Object.keys(facts).map((name) => name.length)) + 1;
  return Object.entries(facts)
    .map(([name, value]) => `${`${name}:`.padEnd(width)} ${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join('\n');
}
