import path from 'node:path';
import type { ImageVersion } from '../model/image.ts';

/** Where the room keeps its files below its directory. */
export class ImagePaths {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Container engine: image store, layer cache, configuration. */
  get containers(): string {
    return path.join(this.#directory, 'containers');
  }

  /** One directory per running build, named by its id. */
  get builds(): string {
    return path.join(this.#directory, 'builds');
  }

  /** One directory per image, named as it is, with one per version. */
  get versions(): string {
    return path.join(this.#directory, 'versions');
  }

  build(buildId: string): BuildPaths {
    const directory = path.join(this.builds, buildId);
    return {
      directory,
      artifact: path.join(directory, 'artifact.zip'),
      context: path.join(directory, 'context'),
      rootDisk: path.join(directory, 'root.ext4'),
      vm: path.join(directory, 'vm'),
      validation: path.join(directory, 'validation'),
    };
  }

  image(imageArn: string): string {
    return path.join(this.versions, nameOf(imageArn));
  }

  version(version: Pick<ImageVersion, 'imageArn' | 'imageVersion'>): VersionPaths {
    const directory = path.join(this.image(version.imageArn), version.imageVersion);
    return {
      directory,
      snapshot: path.join(directory, 'snapshot'),
    };
  }
}

export interface BuildPaths {
  readonly directory: string;
  readonly artifact: string;
  readonly context: string;
  /** Root file system; a snapshot made of it holds its own. */
  readonly rootDisk: string;
  /** VM the snapshot is made of, and the throw-away VM that validates it. */
  readonly vm: string;
  readonly validation: string;
}

export interface VersionPaths {
  readonly directory: string;
  readonly snapshot: string;
}

/** Name of an image; all of its characters are safe in a path (spec section 1.2). */
export function nameOf(imageArn: string): string {
  const name = /:microvm-image:([a-zA-Z0-9_-]{1,64})$/.exec(imageArn)?.[1];
  if (name === undefined) throw new TypeError(`not the ARN of an image: ${imageArn}`);
  return name;
}
