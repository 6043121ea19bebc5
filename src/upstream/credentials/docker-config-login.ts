// The login that a Docker config.json describes, as the file is now.
import { readFile, stat } from 'node:fs/promises';
import type { Log } from '../../observe/log.ts';
import type { Credentials } from './credentials.ts';
import { findInDockerConfig } from './docker-config.ts';
import { anonymous, fixedLogin, type Login, noCredentials } from './login.ts';

export interface DockerConfigLoginOptions {
  readonly id: string;
  readonly name: string;
  readonly path: string;
  readonly log: Log;
  readonly openHelper: (helper: string) => Login;
}

const maxBytes = 1024 * 1024;

export class DockerConfigLogin implements Login {
  readonly id: string;
  readonly #options: DockerConfigLoginOptions;
  /** Which state of the file was read last. */
  #stamp: string | undefined;
  /** Rejects for a file that is no good, until it changes. */
  #read: Promise<Login> | undefined;
  #login = anonymous;

  constructor(options: DockerConfigLoginOptions) {
    this.id = options.id;
    this.#options = options;
  }

  async credentials(): Promise<Credentials | undefined> {
    this.#login = await this.#current();
    return this.#login.credentials();
  }

  refused(credentials: Credentials): boolean {
    this.#login.refused(credentials);
    return true; // others may have been written into the file since it was read
  }

  async #current(): Promise<Login> {
    const { name, path } = this.#options;
    try {
      const { mtimeMs, ctimeMs, size, ino } = await stat(path);
      const stamp = [mtimeMs, ctimeMs, size, ino].join();
      if (!this.#read || stamp !== this.#stamp) {
        this.#stamp = stamp;
        this.#read = this.#open(size);
      }
      return await this.#read;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      throw noCredentials(name, `${path}: ${code === 'ENOENT' ? 'there is no such file' : (code ?? message)}`);
    }
  }

  async #open(size: number): Promise<Login> {
    const { id, name, path, log, openHelper } = this.#options;
    if (size > maxBytes) throw new Error(`it is larger than ${maxBytes} bytes`);
    const entry = findInDockerConfig(await readFile(path, 'utf8'), name);
    if (entry && 'helper' in entry) return openHelper(entry.helper);
    if (entry) return fixedLogin(id, entry.credentials);
    log.warn({ upstream: name, credential: id, path }, 'no credentials for this upstream: it is asked anonymously');
    return anonymous;
  }
}
