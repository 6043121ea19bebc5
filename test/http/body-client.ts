// What a raw connection hears of the body of the first answer.
import type { RawConnection } from './raw-connection.ts';

/** Resolves with the first `length` bytes behind the first head; rejects when the connection ends before. */
export function bodyOf(connection: RawConnection, length: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let head = -1;
    let heard = connection.bytes.length;
    const look = () => {
      if (head < 0) head = connection.bytes.indexOf('\r\n\r\n');
      if (head < 0 || heard < head + 4 + length) return;
      connection.socket.off('data', count);
      resolve(connection.bytes.subarray(head + 4, head + 4 + length));
    };
    const count = (chunk: Buffer) => {
      heard += chunk.length;
      look();
    };
    connection.socket.on('data', count);
    connection.closed.then(() => reject(new Error(`the connection ended ${heard - head - 4} bytes into the body`)));
    look();
  });
}

/** All that was heard behind the first head when the connection ended, however it did. */
export async function cutBodyOf(connection: RawConnection): Promise<Buffer> {
  await connection.closed;
  return connection.bytes.subarray(connection.bytes.indexOf('\r\n\r\n') + 4);
}
