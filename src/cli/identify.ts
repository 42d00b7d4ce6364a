import {
  GetMicrovmCommand,
  type GetMicrovmCommandOutput,
  type MicrovmItem,
  paginateListMicrovms,
} from '@aws-sdk/client-lambda-microvms';
import type { Client } from './client.ts';
import { CliError } from './errors.ts';

const prefix = 'microvm-';
const wholeId = /^microvm-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * The id that a person meant: whole, or the start of it, with or without `microvm-`. Terminated VMs count only
 * where no live one fits.
 * @throws {CliError} none or several fit
 */
export function matchMicrovm(
  typed: string,
  known: readonly Pick<MicrovmItem, 'microvmId' | 'state'>[],
): string {
  const start = typed.startsWith(prefix) ? typed : `${prefix}${typed}`;
  const matching = known.filter(({ microvmId }) => microvmId?.startsWith(start));
  const live = matching.filter(({ state }) => state !== 'TERMINATED');
  const [only, second] = live.length > 0 ? live : matching;
  if (only?.microvmId === undefined) {
    throw new CliError(`No microVM's id starts with ${typed}.`, 'List them with: dormouse ps -a');
  }
  if (second !== undefined) {
    throw new CliError(
      `Several microVMs' ids start with ${typed}.`,
      'Give more characters; list them with: dormouse ps -a',
    );
  }
  return only.microvmId;
}

/** @throws {CliError} none or several fit */
export async function resolveMicrovmId(client: Client, typed: string): Promise<string> {
  if (wholeId.test(typed)) return typed;
  return matchMicrovm(typed, await listMicrovms(client));
}

/** The VM that a person meant. */
export async function resolveMicrovm(client: Client, typed: string): Promise<GetMicrovmCommandOutput> {
  const microvmIdentifier = await resolveMicrovmId(client, typed);
  return await (await client.microvms()).send(new GetMicrovmCommand({ microvmIdentifier }));
}

export async function listMicrovms(
  client: Client,
  imageIdentifier?: string,
): Promise<readonly MicrovmItem[]> {
  const items: MicrovmItem[] = [];
  const pages = paginateListMicrovms(
    { client: await client.microvms() },
    imageIdentifier === undefined ? {} : { imageIdentifier },
  );
  for await (const page of pages) items.push(...(page.items ?? []));
  return items;
}

/** The ARN of an image of this account, given that or its name. */
export async function imageArnOf(client: Client, image: string): Promise<string> {
  if (image.startsWith('arn:')) return image;
  const { region, accountId } = await client.server();
  return `arn:aws:lambda:${region}:${accountId}:microvm-image:${image}`;
}

/** Name of an image, from its ARN. */
export function imageName(imageArn: string | undefined): string {
  return imageArn?.split(':').at(-1) ?? '-';
}
