/** Node's own TypeScript compiler (the package contains no types). It throws a string when the code does not parse. */
declare module 'amaro' {
  export function transformSync(code: string, options: { mode: 'transform'; sourceMap: boolean }): { code: string };
}
