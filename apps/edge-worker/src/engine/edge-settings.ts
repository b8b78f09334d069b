/** First argument of this program when it is to be the edge engine. */
export const edgeProgramMode = 'edge-engine';

/** What the supervisor writes to the edge engine's standard input. */
export interface EdgeSettings {
  readonly source: string;
  readonly variables: Readonly<Record<string, string>>;
  readonly requests: string;
  readonly ping: string;
}
