/**
 * The walls by which attempts are sorted: each is the beginning of a row of a table in docs/security.md, or of a heading
 * there. walls.test.ts compares the two.
 */
export const walls = {
  privilegesOutside: 'no privileges outside',
  privilegesInside: 'few privileges inside',
  kernelSurface: 'a small kernel surface',
  hostView: 'no view of the host',
  devices: 'no device of the host in its hands',
  processes: 'no processes of others',
  shares: 'fair shares',
  addresses: 'no access to private addresses',
  policy: 'a network policy is kept',
  injected: 'a secret in a rule stays outside',
  signIn: 'nobody signs in as somebody else',
  signedUrls: 'a signed url gives no more than it says',
  envd: 'envd stays in control',
  hostPaths: 'the host follows no path from a sandbox',
  volumePlaces: 'a volume appears only where its sandbox may have one',
  volumeContents: 'the process that has the contents of volumes has nothing else',
  bucketStores: 'the process that reads buckets reaches nothing but stores of teams',
  bucketPrefix: 'a mounted bucket shows its prefix and nothing else',
  plantedLinks: 'root does not follow planted links',
  edge: 'the edge of the gateway',
  floods: 'nobody floods the server',
  keys: 'a key does what it is for',
  teams: 'teams are apart',
  namedAddresses: 'addresses that tenants name',
} as const;

export type Wall = keyof typeof walls;
