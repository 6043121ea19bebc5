// When each token was last used, kept beside the file of tokens: for people only, so that losing it is no failure.
import { readIfThere, replaceFile } from './edit-file.ts';
import type { Tokens } from './tokens.ts';

export interface LastUsesOptions {
  readonly tokensFile: string;
  readonly tokens: Pick<Tokens, 'lastUses' | 'recall'>;
  /** Told once, until writing works again. */
  readonly onProblem: (text: string) => void;
  readonly everyMs?: number;
}

export function lastUsesFile(tokensFile: string): string {
  return `${tokensFile}.last-used`;
}

/** Milliseconds since 1970, by name; nothing of a file that is not there or makes no sense. */
export async function readLastUses(tokensFile: string): Promise<ReadonlyMap<string, number>> {
  try {
    const content: unknown = JSON.parse((await readIfThere(lastUsesFile(tokensFile))) ?? '{}');
    const times = Object.entries(content ?? {}).map(([name, at]) => [name, Date.parse(String(at))] as const);
    return new Map(times.filter(([, at]) => !Number.isNaN(at)));
  } catch {
    return new Map();
  }
}

export class LastUses {
  readonly #options: LastUsesOptions;
  #timer: NodeJS.Timeout | undefined;
  #written = '';
  #writing: Promise<void> = Promise.resolve();
  #hasFailed = false;

  constructor(options: LastUsesOptions) {
    this.#options = options;
  }

  /** Reads what the last process left, once the tokens are known. */
  async start(): Promise<void> {
    const { tokensFile, tokens, everyMs = 60_000 } = this.#options;
    this.#timer = setInterval(() => void this.#write(), everyMs).unref();
    tokens.recall(await readLastUses(tokensFile));
    this.#written = this.#text();
  }

  /** Resolves when what is known is written, or cannot be. */
  async stop(): Promise<void> {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    await this.#write();
  }

  #write(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#writeOnce());
    return this.#writing;
  }

  async #writeOnce(): Promise<void> {
    const { tokensFile, onProblem } = this.#options;
    const text = this.#text();
    if (text === this.#written) return;
    const file = lastUsesFile(tokensFile);
    try {
      await replaceFile(file, text);
      this.#written = text;
      this.#hasFailed = false;
    } catch (error) {
      if (this.#hasFailed) return;
      this.#hasFailed = true;
      const why = (error as NodeJS.ErrnoException).code ?? String(error);
      onProblem(`the last uses of tokens cannot be written: ${file}: ${why}; let this user write there to see them`);
    }
  }

  #text(): string {
    const uses = [...this.#options.tokens.lastUses()].map(([name, at]) => [name, new Date(at).toISOString()]);
    return `${JSON.stringify(Object.fromEntries(uses.sort()), undefined, 2)}\n`;
  }
}
