import type { ImageService } from '../../images/image-service.ts';
import { foreignResource, taggedResourceNotFound } from '../errors.ts';
import type { Call } from '../operation.ts';

/** The part of a service that keeps the tags of one kind of resource. */
interface TagKeeper {
  tags(arn: string): Promise<Readonly<Record<string, string>>>;
  tag(arn: string, tags: Readonly<Record<string, string>>): Promise<void>;
  untag(arn: string, keys: readonly string[]): Promise<void>;
}

/**
 * Who keeps the tags of a resource.
 * @throws {ServiceError} AccessDenied for another account's, ResourceNotFound for a kind Dormouse does not have
 */
export function tagKeeper(resource: string, call: Call, action: string): TagKeeper {
  const { services, options } = call.api;
  const [, , , , account, kind] = resource.split(':');
  if (account !== options.realm.accountId) throw foreignResource(call.principal, action, resource);
  if (kind === 'microvm-image') return imageTags(services.images);
  if (kind === 'network-connector') return services.connectors;
  throw taggedResourceNotFound(resource);
}

function imageTags(images: ImageService): TagKeeper {
  return {
    tags: async (arn) => (await images.get(arn)).tags,
    tag: (arn, tags) => images.tag(arn, tags),
    untag: (arn, keys) => images.untag(arn, keys),
  };
}
