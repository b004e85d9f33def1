/**
 * The text is not a statement that this parser knows. Not an answer to the client: whoever asked
 * decides whether a shard may judge the text, or whether it must be refused.
 */
export class NotParsed extends Error {
  override readonly name = 'NotParsed';
  /** Byte position in the statement's text. */
  readonly position: number;
  readonly expected: string;

  constructor(position: number, expected: string, found: string) {
    super(`expected ${expected}, found ${found} at byte ${position}`);
    this.position = position;
    this.expected = expected;
  }
}
