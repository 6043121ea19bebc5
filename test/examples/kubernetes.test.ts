// The manifests: what they configure loads, what they probe answers, and what they name is there.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { probes } from '../../src/admin/probes.ts';
import { loadConfig } from '../../src/config/load.ts';
import { createMetrics } from '../../src/observe/metrics.ts';
import { directoryWith } from '../config/config-files.ts';

interface Port {
  readonly name: string;
  readonly containerPort: number;
  readonly hostIP?: string;
}

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
}

interface Container {
  readonly name: string;
  readonly image: string;
  readonly ports?: readonly Port[];
  readonly env?: readonly { readonly name: string; readonly value?: string; readonly valueFrom?: unknown }[];
  readonly startupProbe: Probe;
  readonly livenessProbe: Probe;
  readonly readinessProbe: Probe;
  readonly resources: { readonly limits: { readonly memory: string } };
  readonly securityContext: Readonly<Record<string, unknown>>;
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[];
}

interface Pod {
  readonly metadata: { readonly labels: Labels };
  readonly spec: {
    readonly terminationGracePeriodSeconds: number;
    readonly securityContext: Readonly<Record<string, unknown>>;
    readonly containers: readonly [Container];
    readonly initContainers?: readonly Container[];
    readonly volumes: readonly {
      readonly name: string;
      readonly configMap?: { readonly name: string };
      readonly persistentVolumeClaim?: { readonly claimName: string };
      readonly hostPath?: unknown;
    }[];
  };
}

type Labels = Readonly<Record<string, string>>;

interface Resource {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Labels };
  readonly data?: Readonly<Record<string, string>>;
  // Whoever reads it knows the kind.
  readonly spec: {
    readonly template: Pod;
    readonly strategy?: { readonly type: string };
    readonly updateStrategy?: { readonly rollingUpdate: { readonly maxSurge: number } };
    readonly selector: Labels & { readonly matchLabels?: Labels };
    readonly podSelector: { readonly matchLabels: Labels };
    readonly ports: readonly { readonly name: string; readonly port: number; readonly targetPort: string }[];
    readonly ingress: readonly { readonly ports: readonly { readonly port: string }[] }[];
    readonly endpoints: readonly { readonly port: string; readonly path: string }[];
  };
}

const folder = new URL('../../examples/kubernetes/', import.meta.url);

function read(name: string): Resource[] {
  const documents = parseAllDocuments(readFileSync(new URL(name, folder), 'utf8'));
  return documents.flatMap((document) => {
    expect(document.errors).toEqual([]);
    return [document.toJSON() as Resource];
  });
}

function only(resources: readonly Resource[], kind: string): Resource {
  const found = resources.filter((each) => each.kind === kind);
  expect(found, kind).toHaveLength(1);
  return found[0] as Resource;
}

test('each file is one of those that are looked at here', () => {
  expect(readdirSync(folder).filter((name) => name.endsWith('.yaml'))).toEqual([
    'daemonset.yaml',
    'deployment.yaml',
    'service-monitor.yaml',
  ]);
});

describe.each([
  ['deployment.yaml', 'Deployment'],
  ['daemonset.yaml', 'DaemonSet'],
] as const)('%s', (file, kind) => {
  const resources = read(file);
  const workload = only(resources, kind);
  const pod = workload.spec.template;
  const [container] = pod.spec.containers;
  const portNames = (container.ports ?? []).map(({ name }) => name);

  const loaded = () => {
    const given = only(resources, 'ConfigMap').data?.['config.json'] ?? '';
    const env = Object.fromEntries((container.env ?? []).map(({ name, value }) => [name, value ?? 'from-the-secret']));
    // Kubernetes adds these for the Services unless it is told not to.
    const links = { STILLWATER_PORT: 'tcp://10.0.0.1:5000', STILLWATER_ADMIN_SERVICE_HOST: '10.0.0.2' };
    return loadConfig({
      cwd: directoryWith({ 'config.json': given }),
      env: { ...env, ...links, STILLWATER_CONFIG: '' },
    });
  };

  test('configures what there is to configure', () => {
    const { config } = loaded();
    const usual = loadConfig({ cwd: directoryWith({}), env: {} }).config;
    expect(config.admin).toEqual({ ...usual.admin, host: '0.0.0.0', token: 'from-the-secret' });
  });

  test('has the configuration and the cache where the process looks for them', () => {
    const path = container.env?.find(({ name }) => name === 'STILLWATER_CONFIG')?.value ?? '';
    const volumeAt = (mountPath: string) => {
      const mount = container.volumeMounts.find((each) => each.mountPath === mountPath);
      return pod.spec.volumes.find(({ name }) => name === mount?.name);
    };
    expect(volumeAt(dirname(path))?.configMap?.name).toBe(only(resources, 'ConfigMap').metadata.name);
    const cache = volumeAt(loaded().config.cache.dir);
    if (kind === 'Deployment')
      expect(cache?.persistentVolumeClaim?.claimName).toBe(only(resources, 'PersistentVolumeClaim').metadata.name);
    else expect(cache?.hostPath).toEqual({ path: '/var/lib/stillwater', type: 'DirectoryOrCreate' });
    expect(container.volumeMounts.find(({ mountPath }) => mountPath === '/cache')?.readOnly).toBeUndefined();
  });

  test('opens the ports that are listened on', () => {
    const { listen, admin } = loaded().config;
    const ports = Object.fromEntries((container.ports ?? []).map(({ name, containerPort }) => [name, containerPort]));
    expect(ports).toEqual({ registry: listen.port, admin: admin?.port });
  });

  test('probes what answers', async () => {
    const app = probes(createMetrics(), []);
    const { startupProbe, livenessProbe, readinessProbe } = container;
    for (const { httpGet } of [startupProbe, livenessProbe, readinessProbe]) {
      expect(httpGet.port).toBe('admin');
      expect((await app.request(httpGet.path)).status, httpGet.path).toBe(200);
    }
    expect([livenessProbe.httpGet.path, readinessProbe.httpGet.path]).toEqual(['/livez', '/readyz']);
  });

  test('selects its own pods and their ports only', () => {
    const own = Object.entries(pod.metadata.labels);
    for (const { kind: each, spec } of resources) {
      if (each === 'Service') expect(Object.entries(spec.selector)).toEqual(own);
      if (each === 'Service') for (const { targetPort } of spec.ports) expect(portNames).toContain(targetPort);
      if (each === 'PodDisruptionBudget' || each === kind)
        expect(Object.entries(spec.selector.matchLabels ?? {})).toEqual(own);
      if (each === 'NetworkPolicy') expect(Object.entries(spec.podSelector.matchLabels)).toEqual(own);
      if (each === 'NetworkPolicy')
        for (const { ports } of spec.ingress) for (const { port } of ports) expect(portNames).toContain(port);
    }
    const namespace = only(resources, 'Namespace').metadata.name;
    const namespaced = resources.filter(({ kind: each }) => each !== 'Namespace');
    expect([...new Set(namespaced.map(({ metadata }) => metadata.namespace))]).toEqual([namespace]);
  });

  test('runs with no right that it does not need', () => {
    expect(container.securityContext).toMatchObject({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    const context = { ...pod.spec.securityContext, ...container.securityContext };
    expect(context).toMatchObject({ runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } });
  });

  test('lets pulls finish, leaves memory beside the heap, and never runs two on one cache', () => {
    expect(pod.spec.terminationGracePeriodSeconds).toBeGreaterThan(30);
    const heap = /--max-old-space-size=(\d+)/.exec(
      container.env?.find(({ name }) => name === 'NODE_OPTIONS')?.value ?? '',
    );
    const limit = container.resources.limits.memory;
    const limitMiB = Number.parseInt(limit, 10) * (limit.endsWith('Gi') ? 1024 : 1);
    expect(Number(heap?.[1]) * 3).toBeLessThan(limitMiB);
    if (kind === 'Deployment') expect(workload.spec.strategy?.type).toBe('Recreate');
    else expect(workload.spec.updateStrategy?.rollingUpdate.maxSurge).toBe(0);
  });
});

test('the DaemonSet serves its own node only', () => {
  const [container] = only(read('daemonset.yaml'), 'DaemonSet').spec.template.spec.containers;
  expect(container.ports?.find(({ name }) => name === 'registry')?.hostIP).toBe('127.0.0.1');
});

test('the ServiceMonitor finds the Service of the admin listener', () => {
  const [monitor] = read('service-monitor.yaml');
  const services = read('deployment.yaml').filter(({ kind }) => kind === 'Service');
  const labels = Object.entries(monitor?.spec.selector.matchLabels ?? {});
  const found = services.filter(({ metadata }) => labels.every(([key, value]) => metadata.labels?.[key] === value));
  expect(found.map(({ metadata }) => metadata.name)).toEqual(['stillwater-admin']);
  expect(found[0]?.metadata.namespace).toBe(monitor?.metadata.namespace);
  for (const { port } of monitor?.spec.endpoints ?? [])
    expect(found[0]?.spec.ports.map(({ name }) => name)).toContain(port);
});
