// Lines of JSON as they arrive, one value a line.

const maxLineBytes = 1024 * 1024;

/** Throws for a line that is none, and for one that nobody would write. */
export async function* readLines(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<unknown> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of bytes) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > maxLineBytes) throw new Error(`the mirror sent a line of more than ${maxLineBytes} bytes`);
    for (const line of lines) if (line.trim() !== '') yield parsed(line);
  }
  if (rest.trim() !== '') yield parsed(rest);
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw new Error(`the mirror sent a line that is not JSON: ${JSON.stringify(line.slice(0, 100))}`, { cause });
  }
}
