// Answers commands, one JSON object a line, in the order in which they come:
//
//   {"do":"load","session":NAME,"path":FILE,"threads":N}      a session
//   {"do":"unload","session":NAME}
//   {"do":"prepare","job":NAME,"session":NAME,"batches":[{INPUT:{"dims":[…],"data":[…]}}]}
//   {"do":"run","job":NAME,"runs":N}                          {"runs":[{"ms":…,"processor_us":…}]}
//   {"do":"save","job":NAME,"output":NAME,"path":FILE}        one run, its outputs as raw float32
//
// A run is all batches of a job, one after another. What is timed is the calls
// of the session: inputs are made before, and nothing reads the outputs. The
// processor time is that of all threads of the process. An answer is {} where nothing is said above, and {"error":TEXT} if it failed.
'use strict';
const fs = require('node:fs');
const readline = require('node:readline');
const ort = require('onnxruntime-node');

const sessions = new Map();
const jobs = new Map();

function named(map, name) {
  const value = map.get(name);
  if (value === undefined) throw new Error(`nothing is named ${name}`);
  return value;
}

const commands = {
  async load({session, path, threads}) {
    sessions.set(session, await ort.InferenceSession.create(path, {
      executionProviders: ['cpu'],
      graphOptimizationLevel: 'all',
      executionMode: 'sequential',
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      enableCpuMemArena: true,
      enableMemPattern: true,
    }));
  },
  async unload({session}) {
    await named(sessions, session).release();
    sessions.delete(session);
    for (const [name, job] of jobs) if (job.session === session) jobs.delete(name);
  },
  async prepare({job, session, batches}) {
    named(sessions, session);
    jobs.set(job, {
      session,
      batches: batches.map((inputs) => Object.fromEntries(Object.entries(inputs).map(
        ([name, {dims, data}]) => [name, new ort.Tensor('int32', Int32Array.from(data), dims)]))),
    });
  },
  async run({job, runs}) {
    const {session, batches} = named(jobs, job);
    const s = named(sessions, session);
    const done = [];
    for (let i = 0; i < runs; i++) {
      const before = process.cpuUsage();
      const start = performance.now();
      for (const inputs of batches) await s.run(inputs);
      const ms = performance.now() - start;
      const {user, system} = process.cpuUsage(before);
      done.push({ms, processor_us: user + system});
    }
    return {runs: done};
  },
  async save({job, output, path}) {
    const {session, batches} = named(jobs, job);
    const file = fs.openSync(path, 'w');
    try {
      for (const inputs of batches) {
        const {data} = (await named(sessions, session).run(inputs))[output];
        fs.writeSync(file, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
      }
    } finally {
      fs.closeSync(file);
    }
  },
};

(async () => {
  for await (const line of readline.createInterface({input: process.stdin})) {
    let answer = {};
    try {
      const command = JSON.parse(line);
      answer = await commands[command.do](command) || {};
    } catch (e) {
      answer = {error: String(e && e.message || e)};
    }
    process.stdout.write(JSON.stringify(answer) + '\n');
  }
})();
