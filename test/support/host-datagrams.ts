import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { DatagramChannel, DatagramListener } from '../../src/model/datagrams.ts';

/** Datagrams to a UDP port of this machine, in place of one inside a guest. */
export async function hostDatagrams(port: number, onDatagram: DatagramListener): Promise<DatagramChannel> {
  const socket = createSocket('udp4').on('message', onDatagram);
  const closed = once(socket, 'close').then(() => undefined);
  socket.connect(port, '127.0.0.1');
  await once(socket, 'connect');
  return {
    closed,
    close: () => void socket.close(),
    send(datagram) {
      socket.send(datagram);
      return true;
    },
  };
}
