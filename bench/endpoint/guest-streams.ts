/** Connections as they are in the product: streams of one session into a guest, which here is this process. */
import type { Duplex } from 'node:stream';
import { webSocketAccept } from '../../src/endpoint/upgrade-client.ts';
import { GuestStream } from '../../src/guest/guest-stream.ts';
import type { StreamChannel } from '../../src/guest/stream-channel.ts';
import { Windows } from '../../src/guest/windows.ts';
import { frame, streamWindow, u32 } from '../../src/guest/wire.ts';

/** Opens connections to an application that agrees to every WebSocket and then says nothing. */
export function silentGuest(): () => Duplex {
  const streams = new Map<number, GuestStream>();
  const windows = new Windows();
  let ids = 1;
  const channel: StreamChannel = {
    hasRoom: true,
    send(id, type, payload = new Uint8Array()) {
      if (type === frame.data) {
        const head = Buffer.from(payload).toString('latin1');
        setImmediate(() => streams.get(id)?.receive(frame.data, Buffer.from(agreement(head))));
      }
      return true;
    },
    drained: () => undefined,
    forget: (id) => void streams.delete(id),
  };
  return () => {
    const stream = new GuestStream({ id: ids, channel, onTraffic: undefined, window: windows.open() });
    streams.set(ids, stream);
    ids += 2;
    stream.opened(u32(streamWindow));
    return stream;
  };
}

function agreement(head: string): string {
  const key = /\r\nsec-websocket-key: (\S+)/i.exec(head)?.[1] ?? '';
  return (
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
    `Sec-WebSocket-Accept: ${webSocketAccept(key)}\r\n\r\n`
  );
}
