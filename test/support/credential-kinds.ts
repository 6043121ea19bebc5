// Every way the configuration can name credentials, with the files and programs that hold them.
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export type CredentialPlace = {
  /** On the PATH of the product; receives files and programs. */
  readonly dir: string;
  /** The registry as users write it. */
  readonly name: string;
  readonly secret: string;
};

export const username = 'builder';

type Kind = {
  readonly takes: 'password' | 'identityToken';
  /** What stands at `upstreams.NAME.credentials`. */
  write(place: CredentialPlace): Promise<object>;
};

export const credentialKinds: Readonly<Record<string, Kind>> = {
  static: password(async ({ secret }) => ({ username, password: secret })),
  list: password(async ({ secret }) => [
    { username, password: secret },
    { username: 'other', password: `${secret}-2` },
  ]),
  auths: password((place) =>
    dockerConfig(place, { auths: { [place.name]: { auth: base64(`${username}:${place.secret}`) } } }),
  ),
  'auths-plain': password((place) =>
    dockerConfig(place, { auths: { [`https://${place.name}`]: { username, password: place.secret } } }),
  ),
  identity: identity((place) =>
    dockerConfig(place, { auths: { [place.name]: { auth: base64(`${username}:`), identitytoken: place.secret } } }),
  ),
  'cred-helpers': password(async (place) =>
    dockerConfig(place, { credHelpers: { [place.name]: await helperProgram(place, username) } }),
  ),
  'creds-store': password(async (place) =>
    dockerConfig(place, { auths: { [place.name]: {} }, credsStore: await helperProgram(place, username) }),
  ),
  helper: password(async (place) => ({ helper: await helperProgram(place, username) })),
  'helper-identity': identity(async (place) => ({ helper: await helperProgram(place, '<token>') })),
  exec: password(async (place) => {
    const said = JSON.stringify({ username, password: place.secret });
    return { exec: [await program(place, `exec-${place.name}`, said), place.name] };
  }),
};

/** Credentials that cannot be had; each has the secret on its tongue when it fails. */
export const brokenKinds: Readonly<Record<string, (place: CredentialPlace) => Promise<object>>> = {
  'broken-config': async ({ dir, name, secret }) => {
    const path = join(dir, `${name}.json`);
    await writeFile(path, `{"auths":{"${name}":{"password":"${secret}"`);
    return { dockerConfig: path };
  },
  'garbled-auth': (place) => dockerConfig(place, { auths: { [place.name]: { auth: place.secret } } }),
  'failing-helper': async (place) => ({ helper: await helperProgram(place, username, 1) }),
  'failing-exec': async (place) => ({
    exec: [await program(place, `exec-${place.name}`, `password ${place.secret}`, 1), '--password', place.secret],
  }),
  'garbled-exec': async (place) => ({
    exec: [await program(place, `exec-${place.name}`, `password: ${place.secret}`), place.name],
  }),
  'absent-exec': async ({ dir, secret }) => ({ exec: [join(dir, 'not-there'), '--password', secret] }),
};

function password(write: Kind['write']): Kind {
  return { takes: 'password', write };
}

function identity(write: Kind['write']): Kind {
  return { takes: 'identityToken', write };
}

async function dockerConfig({ dir, name }: CredentialPlace, config: object): Promise<object> {
  const path = join(dir, `${name}.json`);
  await writeFile(path, JSON.stringify(config));
  return { dockerConfig: path };
}

/** Returns its name without `docker-credential-`. */
async function helperProgram(place: CredentialPlace, Username: string, exitCode = 0): Promise<string> {
  const said = JSON.stringify({ ServerURL: place.name, Username, Secret: place.secret });
  await program(place, `docker-credential-${place.name}`, said, exitCode);
  return place.name;
}

/** It talks too much: what it says goes to stderr as well. */
async function program({ dir }: CredentialPlace, name: string, said: string, exitCode = 0): Promise<string> {
  const path = join(dir, name);
  const lines = [
    '#!/bin/sh',
    "said=$(cat <<'END'",
    said,
    'END',
    ')',
    `printf '%s\\n' "$said"`,
    `printf '%s\\n' "$said" >&2`,
  ];
  await writeFile(path, [...lines, `exit ${exitCode}`, ''].join('\n'));
  await chmod(path, 0o755);
  return path;
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
