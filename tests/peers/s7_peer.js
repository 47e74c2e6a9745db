// The real Snap7 (node-snap7) as an S7 controller, driven by a test.
//
//     s7_peer.js PORT
//
// The same areas and answers as s7_peer.py, and its commands but `writes` and `echo`.
'use strict';
const readline = require('readline');
const snap7 = require('node-snap7');

const server = new snap7.S7Server();
const codes = {
  M: server.srvAreaMK, I: server.srvAreaPE, Q: server.srvAreaPA, T: server.srvAreaTM, C: server.srvAreaCT,
};

// The area's code and, for data blocks only, their number.
function place(name) {
  return name.startsWith('DB') ? [server.srvAreaDB, Number(name.slice(2))] : [codes[name]];
}

function make(name, data) {
  if (!server.RegisterArea(...place(name), data)) throw new Error(`cannot register ${name}`);
}

function change(name, start, data) {
  const all = server.GetArea(...place(name));
  data.copy(all, start);
  server.SetArea(...place(name), all);
}

const answers = {
  set: ([name, start, hex]) => { change(name, Number(start), Buffer.from(hex, 'hex')); return 'ok'; },
  get: ([name, start, count]) => {
    const all = server.GetArea(...place(name));
    return all.subarray(Number(start), Number(start) + Number(count)).toString('hex');
  },
  drop: ([name]) => { server.UnregisterArea(...place(name)); return 'ok'; },
  make: ([name, size]) => { make(name, Buffer.alloc(Number(size))); return 'ok'; },
};

for (const [name, size] of Object.entries({ DB1: 2000, DB3: 100, M: 256, I: 256, Q: 256, T: 128, C: 128 })) {
  make(name, Buffer.alloc(size));
}
make('DB2', Buffer.from(Array.from({ length: 60000 }, (_, byte) => (byte * 7) % 251)));
server.SetParam(server.LocalPort, Number(process.argv[2]));
if (!server.StartTo('127.0.0.1')) throw new Error(server.ErrorText(server.LastError()));
console.log('ready');
const lines = readline.createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const [word, ...rest] = line.trim().split(/\s+/);
  try {
    console.log(word in answers ? answers[word](rest) : 'unknown');
  } catch (error) {
    console.log(`error ${error.message}`);
  }
});
lines.on('close', () => process.exit(0));
