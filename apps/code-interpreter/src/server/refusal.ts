/** What a request is answered with instead: a status, and a text that says why. Clients show the text of a 404. */
export class Refusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}
