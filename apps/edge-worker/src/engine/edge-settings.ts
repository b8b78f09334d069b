/** First argument that starts this program as the edge engine. */
export const edgeProgramMode = 'edge-engine';

/** The data that the supervisor writes to the standard input of the edge engine. */
export interface EdgeSettings {
  readonly source: string;
  readonly variables: Readonly<Record<string, string>>;
  readonly requests: string;
  readonly ping: string;
}
