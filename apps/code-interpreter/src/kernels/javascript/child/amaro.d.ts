/** Node's own TypeScript compiler (the package ships no types): throws a text when the code does not parse. */
declare module 'amaro' {
  export function transformSync(code: string, options: { mode: 'transform'; sourceMap: boolean }): { code: string };
}
