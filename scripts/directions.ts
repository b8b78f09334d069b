/** An import: both are paths relative to the root of the repository. */
export type Import = readonly [from: string, to: string];

export interface Rules {
  readonly parts: Readonly<Record<string, readonly string[]>>;
  readonly testParts: readonly string[];
  readonly rooms: Readonly<Record<string, readonly (readonly string[])[]>>;
  readonly exceptions: readonly string[];
}

const isTest = (path: string): boolean => path.endsWith('.test.ts') || path.includes('/testing/');

/** The faults of the imports, one line each. Empty: all follow the rules. */
export function judgeImports(imports: readonly Import[], rules: Rules): string[] {
  const excepted = new Set(rules.exceptions);
  const isExcepted = ([from, to]: Import): boolean => excepted.has(`${from} -> ${to}`);
  const kept = imports.filter((each) => !isExcepted(each));
  const faults = kept.flatMap((each) => judgeImport(each, rules));
  const circles = findCircles(kept).map((circle) => `circle: ${[...circle, circle[0]].join(' -> ')}`);
  return [...new Set([...faults, ...circles, ...findStale(imports, kept, rules), ...findUnlisted(imports, rules)])];
}

function judgeImport(one: Import, rules: Rules): string[] {
  const faults = [partFault(one, rules), ...Object.keys(rules.rooms).map((folder) => roomFault(one, folder, rules))];
  return faults.filter((fault) => fault !== undefined);
}

function partFault([from, to]: Import, { parts, testParts }: Rules): string | undefined {
  const [own, other] = [partOf(from, parts), partOf(to, parts)];
  if (own === undefined) return `part: ${from} is in no part of the configuration`;
  if (other === undefined || own === other) return undefined;
  const allowed = [...(parts[own] ?? []), ...(isTest(from) ? testParts : [])];
  if (allowed.some((pattern) => matchesPart(other, pattern))) return undefined;
  return `part: ${from} -> ${to}: ${own} may not import ${other}`;
}

/** The innermost part that a file is in. */
function partOf(path: string, parts: Rules['parts']): string | undefined {
  const around = Object.keys(parts).filter((part) => path.startsWith(`${part}/`));
  return around.toSorted((one, other) => other.length - one.length)[0];
}

const matchesPart = (part: string, pattern: string): boolean =>
  pattern.endsWith('/*') ? part.startsWith(pattern.slice(0, -1)) : part === pattern;

function roomFault([from, to]: Import, folder: string, { rooms }: Rules): string | undefined {
  const [own, other] = [roomOf(from, folder), roomOf(to, folder)];
  if (own === undefined || other === undefined || own === other || from.endsWith('.test.ts')) return undefined;
  const rowOf = (room: string): number => (rooms[folder] ?? []).findIndex((row) => row.includes(room));
  if (rowOf(other) < rowOf(own)) return undefined;
  return `room: ${from} -> ${to}: ${own} stands below ${other} in ${folder}, or beside it`;
}

/** The name of the file or folder directly in `folder` that contains a path. */
function roomOf(path: string, folder: string): string | undefined {
  if (!path.startsWith(`${folder}/`)) return undefined;
  return path
    .slice(folder.length + 1)
    .replace(/(\.test)?\.ts$/, '')
    .split('/')[0];
}

function findStale(imports: readonly Import[], kept: readonly Import[], rules: Rules): string[] {
  const present = new Map(imports.map((each) => [`${each[0]} -> ${each[1]}`, each]));
  return rules.exceptions.flatMap((exception) => {
    const broken = present.get(exception);
    if (broken !== undefined && (judgeImport(broken, rules).length > 0 || reaches(kept, broken[1], broken[0])))
      return [];
    return [`exception: ${exception} is not needed any more; delete it`];
  });
}

function findUnlisted(imports: readonly Import[], { rooms }: Rules): string[] {
  const files = [...new Set(imports.flat())].filter((path) => !path.endsWith('.test.ts'));
  return Object.entries(rooms).flatMap(([folder, rows]) => {
    const present = new Set(files.map((path) => roomOf(path, folder)).filter((room) => room !== undefined));
    const listed = new Set(rows.flat());
    const unlisted = [...present].filter((room) => !listed.has(room));
    const gone = [...listed].filter((room) => !present.has(room));
    return [
      ...unlisted.map((room) => `room: ${folder}/${room} is in no row of the configuration`),
      ...gone.map((room) => `room: ${folder}/${room} is in the configuration but imports nothing and is not imported`),
    ];
  });
}

function graphOf(imports: readonly Import[]): Map<string, string[]> {
  const graph = new Map<string, string[]>();
  for (const [from, to] of imports) {
    const targets = graph.get(from);
    if (targets === undefined) graph.set(from, [to]);
    else targets.push(to);
  }
  return graph;
}

function reaches(imports: readonly Import[], start: string, end: string): boolean {
  return pathBetween(graphOf(imports), start, end) !== undefined;
}

/** A shortest circle for each group of files that all reach each other. */
function findCircles(imports: readonly Import[]): string[][] {
  const graph = graphOf(imports);
  const told = new Set<string>();
  const circles: string[][] = [];
  for (const [from, targets] of graph) {
    if (told.has(from)) continue;
    const ways = targets.map((to) => pathBetween(graph, to, from)).filter((way) => way !== undefined);
    const shortest = ways.toSorted((one, other) => one.length - other.length)[0];
    if (shortest === undefined) continue;
    for (const file of reachableFrom(graph, from)) if (pathBetween(graph, file, from) !== undefined) told.add(file);
    circles.push(shortest);
  }
  return circles;
}

function reachableFrom(graph: ReadonlyMap<string, string[]>, start: string): Set<string> {
  const reached = new Set([start]);
  for (const file of reached) for (const next of graph.get(file) ?? []) reached.add(next);
  return reached;
}

/** The files of a shortest path, including both ends. */
function pathBetween(graph: ReadonlyMap<string, string[]>, start: string, end: string): string[] | undefined {
  const cameFrom = new Map<string, string | undefined>([[start, undefined]]);
  for (const file of cameFrom.keys()) {
    if (file === end) return unwind(cameFrom, end);
    for (const next of graph.get(file) ?? []) if (!cameFrom.has(next)) cameFrom.set(next, file);
  }
  return undefined;
}

function unwind(cameFrom: ReadonlyMap<string, string | undefined>, end: string): string[] {
  const way: string[] = [];
  for (let file: string | undefined = end; file !== undefined; file = cameFrom.get(file)) way.unshift(file);
  return way;
}
