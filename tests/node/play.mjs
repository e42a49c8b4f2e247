// Plays cases with the official SDK for Node: reads [{name, playback, base, key, kind, request, upload}] from standard input, and writes
// {name: {body} | {chunks} | {hex} | {error}} as the SDK gave them.
import OpenAI, { toFile } from "openai";

async function whole(answer) {
  return { body: await answer };
}

async function streamed(answer) {
  const chunks = [];
  for await (const chunk of await answer) chunks.push(chunk);
  return { chunks };
}

async function binary(answer) {
  return { hex: Buffer.from(await (await answer).arrayBuffer()).toString("hex") };
}

const withFile = async (request, upload) => ({
  ...request,
  file: await toFile(Buffer.from(upload.hex, "hex"), upload.filename, { type: upload.content_type }),
});

const play = {
  chat: (client, request) => whole(client.chat.completions.create(request)),
  tools: (client, request) => whole(client.chat.completions.create(request)),
  stream: (client, request) => streamed(client.chat.completions.create(request)),
  completion: (client, request) => whole(client.completions.create(request)),
  embeddings: (client, request) => whole(client.embeddings.create(request)),
  moderation: (client, request) => whole(client.moderations.create(request)),
  transcription: async (client, request, upload) => whole(client.audio.transcriptions.create(await withFile(request, upload))),
  image: async (client, request) => whole(client.images.generate(request)),
  edit: async (client, { images, ...request }, upload) => whole(client.images.edit({
    ...request, image: await toFile(Buffer.from(upload.hex, "hex"), upload.filename, { type: upload.content_type }),
  })),
  speech: (client, request) => binary(client.audio.speech.create(request)),
  rerank: (client, request) => whole(client.post("/rerank", { body: request })), // not an endpoint of OpenAI: the SDK's own way to ask for others
};

async function seen(one) {
  const client = new OpenAI({ baseURL: one.base, apiKey: one.key, maxRetries: 0, timeout: 20_000 });
  await fetch(`${one.playback}/_case/${one.name}`, { method: "POST" });
  try {
    const stream = one.request.stream && one.kind !== "speech" && one.kind !== "transcription";
    return await play[stream && one.kind === "tools" ? "stream" : one.kind](client, one.request, one.upload);
  } catch (problem) {
    return { error: String(problem) };
  }
}

const pieces = [];
for await (const piece of process.stdin) pieces.push(piece);
const found = {};
for (const one of JSON.parse(Buffer.concat(pieces).toString())) found[one.name] = await seen(one);
process.stdout.write(JSON.stringify(found));
