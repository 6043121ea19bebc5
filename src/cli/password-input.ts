// A password for a command: asked for twice without showing it on a terminal, else all of stdin.
import { createInterface } from 'node:readline';
import { type Readable, Writable } from 'node:stream';

export interface Terminal {
  readonly input: Readable;
  readonly output: Writable;
}

/** Far more than a password may have, so that its own check can say so. */
const mostBytes = 4096;

/** Throws when the two differ, or when the person leaves. */
export async function askForPassword({ input, output }: Terminal): Promise<string> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input, output: nowhere, terminal: true, historySize: 0 });
  const answers = lines[Symbol.asyncIterator]();
  const ask = async (question: string): Promise<string> => {
    output.write(question);
    const { value, done } = await answers.next();
    output.write('\n');
    if (done) throw new Error('no password was given; nothing is changed');
    return value;
  };
  try {
    const password = await ask('Password: ');
    if (password !== (await ask('The same again: ')))
      throw new Error('the two passwords differ; nothing is changed, try again');
    return password;
  } finally {
    lines.close();
  }
}

/** Without the line break that ends it. */
export async function readPassword(input: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of input) {
    chunks.push(Buffer.from(chunk));
    size += chunk.length;
    if (size > mostBytes) break;
  }
  return Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '');
}
