import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** What is added up, by the values of its labels in the order they were declared. */
export interface Count {
  add(amount: number, ...labels: readonly string[]): void;
}

/** What takes time. */
export interface Duration {
  /** @param seconds how long it took */
  observe(seconds: number, ...labels: readonly string[]): void;
}

/** One value of something that is looked at when somebody asks. */
export interface Sample {
  readonly value: number;
  readonly labels?: readonly string[];
}

type Reading = number | readonly Sample[];

const prefix = 'dormouse_';
/** From a wake out of the cache to a build. */
const durationBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900];
/** They have as many values as there are microVMs, which no metrics system bears. */
const boundless: ReadonlySet<string> = new Set(['microvm', 'microvm_id', 'vm', 'endpoint_id', 'token']);

/**
 * The figures of one server, for Prometheus. Each part of the server declares its own, once; names get the prefix
 * `dormouse_`. Labels have few values: a name or an outcome, never an id.
 */
export class Metrics {
  readonly #registry = new Registry();

  /** Figures of the process itself, under the names that dashboards for Node.js know. */
  watchProcess(): void {
    collectDefaultMetrics({ register: this.#registry });
  }

  /** @param name ends with `_total` */
  count<const Label extends string>(name: string, help: string, labels: readonly Label[] = []): Count {
    const counter = new Counter({ ...this.#declare(name, help, labels), labelNames: labels });
    return { add: (amount, ...values) => counter.labels(...values).inc(amount) };
  }

  /** A histogram, which counts too. @param name ends with `_seconds` */
  duration(name: string, help: string, labels: readonly string[] = []): Duration {
    const histogram = new Histogram({
      ...this.#declare(name, help, labels),
      labelNames: labels,
      buckets: durationBuckets,
    });
    return { observe: (seconds, ...values) => histogram.labels(...values).observe(seconds) };
  }

  /** Something that goes up and down, read whenever somebody asks. A reading that fails leaves it out. */
  reading(
    name: string,
    help: string,
    read: () => Reading | Promise<Reading>,
    labels: readonly string[] = [],
  ): void {
    const gauge: Gauge<string> = new Gauge({
      ...this.#declare(name, help, labels),
      labelNames: labels,
      async collect() {
        gauge.reset();
        fill(gauge, await settle(read));
      },
    });
  }

  /** A sum that is kept elsewhere and only grows, read whenever somebody asks. @param name ends with `_total` */
  total(
    name: string,
    help: string,
    read: () => Reading | Promise<Reading>,
    labels: readonly string[] = [],
  ): void {
    const counter: Counter<string> = new Counter({
      ...this.#declare(name, help, labels),
      labelNames: labels,
      async collect() {
        counter.reset();
        for (const { value, labels: values = [] } of await settle(read)) counter.labels(...values).inc(value);
      },
    });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** All of it in the text format of Prometheus. */
  async text(): Promise<string> {
    return await this.#registry.metrics();
  }

  #declare(name: string, help: string, labels: readonly string[]) {
    const unbounded = labels.find((label) => boundless.has(label));
    if (unbounded !== undefined) throw new Error(`${name} must not be told apart by ${unbounded}`);
    return { name: prefix + name, help, registers: [this.#registry] };
  }
}

function fill(gauge: Gauge<string>, samples: readonly Sample[]): void {
  for (const { value, labels = [] } of samples) gauge.labels(...labels).set(value);
}

async function settle(read: () => Reading | Promise<Reading>): Promise<readonly Sample[]> {
  try {
    const reading = await read();
    return typeof reading === 'number' ? [{ value: reading }] : reading;
  } catch {
    return [];
  }
}
