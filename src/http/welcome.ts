// The page at /: what this is and how each client is pointed here, for a person with a browser.
import type { Exchange } from './exchange.ts';

export function welcome(exchange: Exchange, registries: readonly string[]): Response {
  const host = exchange.env.incoming.headers.host ?? 'localhost:5000';
  const scheme = 'encrypted' in exchange.env.incoming.socket ? 'https' : 'http';
  exchange.header('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'");
  return exchange.html(page(escapeHtml(host), scheme, registries.map(escapeHtml)));
}

function page(host: string, scheme: string, registries: readonly string[]): string {
  const mirror = `${scheme}://${host}`;
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Stillwater</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1rem; color: #1d2733 }
  pre { background: #f1f4f7; padding: .8rem 1rem; border-radius: 6px; overflow-x: auto }
  h2 { font-size: 1.05rem; margin-top: 2rem }
</style>
<h1>Stillwater</h1>
<p>This is a pull-through mirror. Images pulled through it are fetched once, kept here, and served to everyone.
It is read-only: push to the registry itself.</p>
<h2>Docker: /etc/docker/daemon.json, then <code>systemctl reload docker</code></h2>
<pre>{"registry-mirrors": ["${mirror}"]}</pre>
<h2>containerd: /etc/containerd/certs.d/_default/hosts.toml</h2>
<pre>[host."${mirror}"]
  capabilities = ["pull", "resolve"]</pre>
<h2>podman, skopeo, CRI-O: /etc/containers/registries.conf</h2>
<pre>[[registry]]
prefix = "docker.io"
location = "docker.io"
[[registry.mirror]]
location = "${host}/docker.io"${scheme === 'http' ? '\ninsecure = true' : ''}</pre>
<h2>BuildKit: buildkitd.toml</h2>
<pre>[registry."docker.io"]
  mirrors = ["${host}/docker.io"]${scheme === 'http' ? `\n[registry."${host}"]\n  http = true` : ''}</pre>
<h2>Registries mirrored here</h2>
<p>${registries.join(', ')}</p>
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
