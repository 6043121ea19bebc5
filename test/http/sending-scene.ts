// A plain server that sends contents of one file, and what the kernel was asked to send of them.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { sendContent } from '../../src/http/send-content.ts';
import { type FilePart, openSendfile, type Sendfile } from '../../src/http/sendfile.ts';
import type { ByteRange } from '../../src/oci/byte-range.ts';
import type { Content } from '../../src/store/content.ts';

const opened = await openSendfile(import.meta.filename);

/** This machine's own. */
export function realSendfile(): Sendfile {
  if (!opened.sendfile) throw new Error(opened.why);
  return opened.sendfile;
}

/** Does as another one does, and keeps what came of it. */
export class RecordedSendfile implements Sendfile {
  readonly calls: { readonly socket: number; readonly part: FilePart; readonly sent: number | undefined }[] = [];
  readonly #own: Partial<Sendfile>;

  constructor(own: Partial<Sendfile> = {}) {
    this.#own = own;
  }

  get bytes(): number {
    return this.calls.reduce((sum, { sent }) => sum + (sent ?? 0), 0);
  }

  send(socket: number, part: FilePart): number | undefined {
    const sent = (this.#own.send ?? realSendfile().send)(socket, part);
    this.calls.push({ socket, part, sent });
    return sent;
  }

  readCached(fd: number, buffer: Uint8Array, position: number): number | undefined {
    return (this.#own.readCached ?? realSendfile().readCached)(fd, buffer, position);
  }
}

export interface Sending {
  readonly content: Content;
  /** The whole content unless it is given. */
  readonly range?: ByteRange;
  readonly sendfile?: Sendfile | undefined;
}

export interface SendingScene extends AsyncDisposable {
  readonly url: string;
  readonly server: Server;
  /** Resolves when the first answer is over and its content closed, to what `onSent` told of it. */
  readonly over: Promise<number>;
}

/** What `plan` gives is sent; it may answer by itself and give nothing. */
export async function startSending(
  plan: (outgoing: ServerResponse, incoming: IncomingMessage) => Sending | undefined,
  server: Server = createServer(),
): Promise<SendingScene> {
  const over = Promise.withResolvers<number>();
  const sendings = new Set<Promise<void>>();
  server.on('request', (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const sending = plan(outgoing, incoming);
    if (!sending) return;
    let sent = 0;
    const count = (bytes: number) => {
      sent += bytes;
    };
    sendings.add(send(outgoing, sending, count).then(() => over.resolve(sent)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    server,
    over: over.promise,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await Promise.all(sendings);
    },
  };
}

async function send(outgoing: ServerResponse, sending: Sending, onSent: (bytes: number) => void): Promise<void> {
  const { content, range = { start: 0, end: content.size - 1 }, sendfile } = sending;
  const gone = new AbortController();
  outgoing.once('close', () => {
    if (!outgoing.writableFinished) gone.abort(new Error('the client is gone'));
  });
  outgoing.writeHead(200, { 'content-length': range.end - range.start + 1 });
  try {
    await sendContent(outgoing, content, range, gone.signal, onSent, sendfile);
  } finally {
    await content.close();
  }
}
