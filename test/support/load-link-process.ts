// Entry of a child process: a relay in front of a server, through which so many bytes a second come, all connections together.
// node test/support/load-link-process.ts UPSTREAM_PORT BYTES_PER_SECOND
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

const [upstreamPort = 0, bytesPerSecond = 0] = process.argv.slice(2).map(Number);
const tickMs = 4;
/** What may come at once after a pause. */
const mostSaved = bytesPerSecond * 0.02;

let saved = 0;
let filledAt = performance.now();
const held = new Set<Socket>();

const server = createServer({ allowHalfOpen: true }, (client) => {
  const upstream = connect({ port: upstreamPort, host: '127.0.0.1', allowHalfOpen: true });
  const end = () => {
    held.delete(upstream);
    client.destroy();
    upstream.destroy();
  };
  for (const socket of [client, upstream]) socket.setNoDelay(true).once('error', end).once('close', end);
  client.pipe(upstream);
  upstream.on('data', (bytes) => {
    saved -= bytes.length;
    const isFull = !client.write(bytes);
    if (isFull) client.once('drain', () => hold(upstream));
    if (isFull) upstream.pause();
    else if (saved < 0) hold(upstream);
  });
  upstream.once('end', () => client.end());
});

setInterval(() => {
  const now = performance.now();
  saved = Math.min(mostSaved, saved + ((now - filledAt) / 1000) * bytesPerSecond);
  filledAt = now;
  release();
}, tickMs);

server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));

function hold(upstream: Socket): void {
  upstream.pause();
  held.add(upstream);
  release();
}

/** Whoever has waited longest first; each that goes on may take one piece before it is held again. */
function release(): void {
  for (const upstream of held) {
    if (saved <= 0) return;
    held.delete(upstream);
    upstream.resume();
  }
}
