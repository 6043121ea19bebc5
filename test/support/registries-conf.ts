// The files that skopeo, podman and buildah read: registries.conf with a mirror, and a policy that accepts anything.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** `registry`'s own address is one that refuses, so that only the mirror can make a pull succeed. */
export async function writeRegistriesConf(dir: string, mirrorHost: string, registries: string[]): Promise<string> {
  const file = join(dir, 'registries.conf');
  const entries = registries.map(
    (registry) => `[[registry]]
prefix = "${registry}"
location = "127.0.0.1:9/${registry}"
insecure = true
[[registry.mirror]]
location = "${mirrorHost}/${registry}"
insecure = true
`,
  );
  await writeFile(file, entries.join('\n'));
  return file;
}

export async function writePolicy(dir: string): Promise<string> {
  const file = join(dir, 'policy.json');
  await writeFile(file, JSON.stringify({ default: [{ type: 'insecureAcceptAnything' }] }));
  return file;
}
