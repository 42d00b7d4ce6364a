/** Builds image `crash` on the data directory given as argument, for a test that kills this process meanwhile. */
import { locateAssets } from '../../src/assets.ts';
import { chooseVmm } from '../../src/vmm/choose-vmm.ts';
import { ImageRoom } from './image-room.ts';

const { vmm } = await chooseVmm('tcg', locateAssets());
const room = await ImageRoom.open(vmm, process.argv[2]);
const dockerfile = 'FROM dormouse/python:3.11\nCMD ["python3", "-m", "http.server", "8080"]\n';
await room.create('crash', { Dockerfile: dockerfile }, { resources: [{ minimumMemoryInMiB: 256 }] });
await room.built('crash');
