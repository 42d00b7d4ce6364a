import type { Client } from './client.ts';
import { CliError } from './errors.ts';
import { imageName } from './identify.ts';
import { harmless, note, style } from './output.ts';

/** As `/dormouse/v1/image-conditions` tells of a version that cannot be launched from although it was built. */
export interface ImageCondition {
  readonly imageArn: string;
  readonly imageVersion: string;
  readonly status: string;
  readonly condition: string;
  /** With what to do. */
  readonly stateReason: string | null;
}

/** What is wrong with versions of all images. Who may not know it sees the images all the same. */
export async function readImageConditions(client: Client): Promise<readonly ImageCondition[]> {
  try {
    const response = await client.extension('/dormouse/v1/image-conditions');
    return ((await response.json()) as { readonly versions: readonly ImageCondition[] }).versions;
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    note(`Whether versions are damaged or outdated is not shown: ${error.message}`);
    return [];
  }
}

export function conditionText(condition: string): string {
  return style(condition, condition === 'DAMAGED' ? 'red' : 'yellow');
}

/** What is wrong, and what to do about it. */
export function conditionLines({ imageArn, imageVersion, condition, stateReason }: ImageCondition): string {
  const name = imageName(imageArn);
  const again = `build it again: dormouse build <directory> --name ${name}`;
  const version = `${name} ${imageVersion} is ${conditionText(condition)}`;
  return `${version}: ${harmless(stateReason ?? '')}\n  ${style('→', 'cyan')} ${again}`;
}
