/** Options for the official client, from the output of `soulbox env`. */
export function clientOptions(lines: string): { apiUrl: string; sandboxUrl: string; apiKey: string } {
  const variables = new Map(
    [...lines.matchAll(/^export (\w+)='?([^'\n]*)'?$/gm)].map(([, name = '', value = '']) => [name, value]),
  );
  const get = (name: string): string => {
    const value = variables.get(name);
    if (value === undefined) throw new Error(`\`soulbox env\` does not print ${name}: ${lines}`);
    return value;
  };
  return { apiUrl: get('E2B_API_URL'), sandboxUrl: get('E2B_SANDBOX_URL'), apiKey: get('E2B_API_KEY') };
}
