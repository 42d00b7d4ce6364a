import { imageName, isStage } from './image-names.ts';
import {
  type Dockerfile,
  dockerfileError,
  type Instruction,
  readDockerfile,
  readInstruction,
  writeDockerfile,
  writeInstruction,
} from './instructions.ts';
import { readMount } from './mounts.ts';
import { expand } from './variables.ts';

export interface Surroundings {
  readonly buildArguments: Readonly<Record<string, string>>;
  /** Of this host, as registries name it. */
  readonly architecture: 'amd64' | 'arm64';
  readonly knowsHeredocs: boolean;
  /** Steps are to see the builder's certificates ({@link certificatesSecret}). */
  readonly certificates: boolean;
  /** Tells one content of the context from another. */
  readonly contextDigest: string;
}

export interface PreparedDockerfile {
  readonly text: string;
  /** Values of the build's arguments by the names that the text has for them: neither it nor a command line holds them. */
  readonly variables: Readonly<Record<string, string>>;
  /** For the build's log. */
  readonly notes: readonly string[];
  /** Paths of the context that steps have mounted. */
  readonly mounted: readonly { readonly path: string; readonly line: number }[];
}

/** Name of the build context that is an empty directory. */
export const emptyContext = 'dormouse-volume';
/** Id of the secret with the certificates that steps trust, and where they see it: in no layer. */
export const certificatesSecret = 'dormouse-certificates';
const certificatesFile = '/run/dormouse-certificates.pem';
export const certificatesMount = `type=secret,id=${certificatesSecret},target=${certificatesFile},mode=0444`;
/** Where OpenSSL, Go, curl, git, pip and requests, Node, and cargo look. */
const certificateNames = [
  ...['SSL_CERT_FILE', 'CURL_CA_BUNDLE', 'GIT_SSL_CAINFO', 'PIP_CERT', 'REQUESTS_CA_BUNDLE'],
  ...['NODE_EXTRA_CA_CERTS', 'CARGO_HTTP_CAINFO'],
];
const argumentPrefix = 'DORMOUSE_ARGUMENT_';
const digestName = 'DORMOUSE_CONTEXT';
const hexadecimal = /^[0-9a-f]+$/i;

/**
 * Makes a Dockerfile what the builder here builds as other builders do, and keeps it to its own images: names are
 * resolved, what the builder would do differently is put in other words, and what it should not do is refused.
 * @throws {BuildFailure} CONTAINER_BUILD_FAILED, naming the line
 */
export function prepareDockerfile(text: string, surroundings: Surroundings): PreparedDockerfile {
  return new Preparation(surroundings).take(readDockerfile(text));
}

class Preparation {
  readonly #surroundings: Surroundings;
  readonly #names: string[] = [];
  /** What SHELL says in each stage. */
  readonly #shells: (readonly string[] | undefined)[] = [];
  readonly #notes: string[] = [];
  readonly #mounted: { readonly path: string; readonly line: number }[] = [];
  readonly #given: Readonly<Record<string, string>>;
  readonly #aliases: ReadonlyMap<string, string>;
  readonly #used = new Set<string>();
  readonly #global: Map<string, string>;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
    this.#given = surroundings.buildArguments;
    this.#aliases = new Map(Object.keys(this.#given).map((name, index) => [name, argumentPrefix + index]));
    const { architecture } = surroundings;
    this.#global = new Map(
      ['TARGET', 'BUILD'].flatMap((side) => [
        [`${side}PLATFORM`, `linux/${architecture}`],
        [`${side}OS`, 'linux'],
        [`${side}ARCH`, architecture],
      ]),
    );
  }

  take(dockerfile: Dockerfile): PreparedDockerfile {
    const instructions = dockerfile.instructions.flatMap((instruction) => this.#translate(instruction));
    for (const name of this.#aliases.keys()) {
      if (!this.#used.has(name)) this.#notes.push(`The build argument ${name} is not used: no ARG names it.`);
    }
    const variables = Object.fromEntries(
      [...this.#aliases].map(([name, alias]) => [alias, this.#given[name] ?? '']),
    );
    const text = writeDockerfile({ ...dockerfile, instructions });
    return { text, variables, notes: this.#notes, mounted: this.#mounted };
  }

  #translate(instruction: Instruction): readonly Instruction[] {
    this.#refuseDocuments(instruction);
    switch (instruction.keyword) {
      case 'FROM':
        return [this.#from(instruction), ...this.#certificateNames(instruction)];
      case 'ARG':
        return this.#arg(instruction);
      case 'ADD':
      case 'COPY':
        return [this.#withSources(instruction)];
      case 'RUN':
        return this.#run(instruction);
      case 'VOLUME':
        return this.#volume(instruction);
      case 'SHELL':
        this.#shells.splice(-1, 1, readList(instruction.rest));
        return [instruction];
      case 'CMD':
      case 'ENTRYPOINT':
        return [this.#inShell(instruction)];
      case 'ONBUILD':
        return [this.#onBuild(instruction)];
      default:
        return [instruction];
    }
  }

  #refuseDocuments({ documents, line, keyword }: Instruction): void {
    if (documents.length === 0 || this.#surroundings.knowsHeredocs) return;
    throw dockerfileError(
      line,
      `Here-documents (${keyword} <<…) need buildah 1.35 or newer on the host. Until then put the text into a file of the context, or write it with printf.`,
    );
  }

  #from(instruction: Instruction): Instruction {
    const { line, rest } = instruction;
    const [, word = '', name] = /^(\S+)(?:\s+AS\s+(\S+))?$/i.exec(rest) ?? [];
    const image = expand(word, this.#global);
    if (image === undefined || image === '') {
      throw dockerfileError(line, `FROM ${rest.slice(0, 200)} names no image.`);
    }
    this.#notePlatform(instruction);
    const stage = this.#names.lastIndexOf(image.toLowerCase());
    const resolved =
      stage >= 0 ? image.toLowerCase() : image === 'scratch' ? image : this.#imageOf(image, line);
    this.#shells.push(stage >= 0 ? this.#shells[stage] : undefined);
    const own = name?.toLowerCase() ?? '';
    this.#names.push(own);
    return { ...instruction, flags: [], rest: own === '' ? resolved : `${resolved} AS ${own}` };
  }

  /** As arguments, so that steps have them and the image does not. */
  #certificateNames({ line }: Instruction): readonly Instruction[] {
    if (!this.#surroundings.certificates) return [];
    const rest = certificateNames.map((name) => `${name}=${certificatesFile}`).join(' ');
    return [{ keyword: 'ARG', flags: [], rest, documents: [], line }];
  }

  #notePlatform({ flags, line }: Instruction): void {
    const given = flags.find((flag) => flag.name === 'platform')?.value;
    if (given === undefined) return;
    const [, wanted = ''] = (expand(given, this.#global) ?? '').split('/');
    const { architecture } = this.#surroundings;
    const same = { amd64: ['amd64', 'x86_64', 'x86-64'], arm64: ['arm64', 'aarch64'] }[architecture];
    if (same.includes(wanted)) return;
    this.#notes.push(
      `Line ${line} of the Dockerfile: built for linux/${architecture}, as this host is, and not for ${given}.`,
    );
  }

  /** @throws {BuildFailure} */
  #imageOf(name: string, line: number): string {
    const resolved = imageName(name);
    if (resolved !== undefined) return resolved;
    throw dockerfileError(
      line,
      `${JSON.stringify(name.slice(0, 200))} is neither a stage above, nor dormouse/…, nor the name of an image in a registry.`,
    );
  }

  #stageOrImage(name: string, line: number): string {
    if (name.includes('$')) {
      throw dockerfileError(
        line,
        `A variable in from=${name} is not known: give it a stage (FROM ${name} AS …).`,
      );
    }
    // The builder here tells upper from lower case in the names of stages, as others do not.
    const isAbove = isStage(name, { names: this.#names.slice(0, -1) });
    return isAbove ? name.toLowerCase() : this.#imageOf(name, line);
  }

  #arg(instruction: Instruction): readonly Instruction[] {
    const inStage = this.#names.length > 0;
    return splitArguments(instruction.rest).flatMap((word) => {
      const [, name = '', , value] = /^([A-Za-z_]\w*)(=(.*))?$/s.exec(word) ?? [];
      const alias = this.#aliases.get(name);
      if (alias !== undefined) this.#used.add(name);
      if (!inStage) this.#noteGlobal(name, value);
      const one = { ...instruction, rest: word };
      if (alias === undefined) return [one];
      return [
        { ...instruction, rest: alias },
        { ...instruction, rest: `${name}=\${${alias}}` },
      ];
    });
  }

  #noteGlobal(name: string, value: string | undefined): void {
    const given = this.#given[name];
    const known = given ?? (value === undefined ? undefined : expand(value, this.#global));
    if (known !== undefined) this.#global.set(name, known);
  }

  #withSources(instruction: Instruction): Instruction {
    const { flags, line } = instruction;
    return {
      ...instruction,
      flags: flags.map((flag) =>
        flag.name === 'from' ? { ...flag, value: this.#stageOrImage(flag.value ?? '', line) } : flag,
      ),
    };
  }

  #run(instruction: Instruction): readonly Instruction[] {
    const { line } = instruction;
    let looks = false;
    const flags = instruction.flags.map((flag) => {
      if (flag.name !== 'mount') return flag;
      const mount = readMount(flag.value ?? '', line, (name) => this.#stageOrImage(name, line));
      looks ||= mount.shows !== undefined;
      if (mount.contextPath !== undefined) this.#mounted.push({ path: mount.contextPath, line });
      return { ...flag, value: mount.value };
    });
    // The builder takes an earlier step for this one whatever was in what it has mounted.
    const key = { ...instruction, keyword: 'ARG', flags: [], documents: [] };
    const digest = { ...key, rest: `${digestName}=${this.#surroundings.contextDigest}` };
    if (this.#surroundings.certificates) {
      flags.push({ name: 'mount', value: certificatesMount });
    }
    return [...(looks ? [digest] : []), { ...instruction, flags }];
  }

  /** The builder here gives the application /bin/sh whatever SHELL says. */
  #inShell(instruction: Instruction): Instruction {
    const shell = this.#shells.at(-1);
    if (shell === undefined || readList(instruction.rest) !== undefined) return instruction;
    return { ...instruction, rest: JSON.stringify([...shell, instruction.rest]) };
  }

  /** What steps write into a volume is lost with this builder, so a volume is a directory. */
  #volume(instruction: Instruction): readonly Instruction[] {
    const { line, rest } = instruction;
    const names = readList(rest) ?? rest.split(/\s+/);
    if (names.some((name) => name === '')) throw dockerfileError(line, 'VOLUME names no directory.');
    return names.map((name) => ({
      ...instruction,
      keyword: 'COPY',
      flags: [{ name: 'from', value: emptyContext }],
      rest: JSON.stringify(['/', name]),
    }));
  }

  /** It runs in a build that is not known yet, so its stages are not either; what could be an id is none of them. */
  #onBuild(instruction: Instruction): Instruction {
    const inner = readInstruction(instruction.rest, instruction.line);
    const { line } = inner;
    const imageOf = (name: string): string =>
      hexadecimal.test(name) || name.includes('$') ? this.#imageOf('', line) : this.#imageOf(name, line);
    const flags = inner.flags.map((flag) => {
      if (flag.name === 'from') return { ...flag, value: imageOf(flag.value ?? '') };
      if (flag.name !== 'mount') return flag;
      const mount = readMount(flag.value ?? '', line, imageOf);
      if (mount.contextPath !== undefined) this.#mounted.push({ path: mount.contextPath, line });
      return { ...flag, value: mount.value };
    });
    return { ...instruction, rest: writeInstruction({ ...inner, flags }) };
  }
}

/** Words at blanks that stand in no quotes. */
function splitArguments(text: string): readonly string[] {
  return text.match(/(?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"'\\])+/g) ?? [text];
}

function readList(text: string): readonly string[] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && value.every((item) => typeof item === 'string') ? value : undefined;
  } catch {
    return undefined;
  }
}
