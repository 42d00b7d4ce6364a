import type {
  Connector,
  ConnectorChange,
  ConnectorInput,
  ConnectorState,
  ConnectorTags,
} from '../model/connector.ts';
import type { Page, PageRequest } from '../model/page.ts';

/**
 * Customer network connectors (spec section 1.9). Identifiers are an id, a name or an ARN. Methods throw
 * {@link ServiceError} with the recorded texts.
 */
export interface ConnectorService {
  create(input: ConnectorInput): Promise<Connector>;
  get(identifier: string): Promise<Connector>;
  list(page: PageRequest, state: ConnectorState | undefined): Promise<Page<Connector>>;
  update(identifier: string, change: ConnectorChange): Promise<Connector>;
  delete(identifier: string): Promise<Connector>;

  tags(arn: string): Promise<ConnectorTags>;
  tag(arn: string, tags: ConnectorTags): Promise<void>;
  untag(arn: string, keys: readonly string[]): Promise<void>;
}
