// The documents of a YAML or JSON file, as plain values.
import { LineCounter, parseAllDocuments } from 'yaml';

/** Throws one line that names the line of the file. */
export function readYaml(text: string): readonly unknown[] {
  const lineCounter = new LineCounter();
  try {
    const documents = parseAllDocuments(text, { lineCounter, merge: true, prettyErrors: false, logLevel: 'error' });
    if ('empty' in documents) return [];
    for (const { errors } of documents) {
      const [error] = errors;
      if (error?.code === 'RESOURCE_EXHAUSTION') throw new RangeError(error.message);
      if (error) throw new Error(`line ${lineCounter.linePos(error.pos[0]).line}: not YAML: ${error.message}`);
    }
    return documents.map((document) => document.toJS());
  } catch (error) {
    if (error instanceof RangeError) throw new Error('it is nested too deeply for a file that people wrote');
    if (error instanceof ReferenceError) throw new Error(`not YAML: ${error.message}`);
    throw error;
  }
}
