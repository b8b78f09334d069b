/** An error response: a status, and a text that gives the reason. Clients show the text of a 404. */
export class Refusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}
