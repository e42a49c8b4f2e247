// `node client.ts URL KEY`: use the types that were generated for TypeScript. Prints what the answers say, as JSON.
import createClient from "openapi-fetch";
import type { components, paths as V1 } from "./generated/v1.ts";
import type { paths as Rest } from "./generated/api.ts";

const [url, key] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${key}` };
const v1 = createClient<V1>({ baseUrl: url, headers });
const rest = createClient<Rest>({ baseUrl: url, headers });

function given<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("no answer");
  return value;
}

function whole<T>(value: T | string | undefined): T {
  if (value === undefined || typeof value === "string") throw new Error("no whole answer");
  return value;
}

type ChatRequest = components["schemas"]["ChatCompletionRequest"];
const chat: ChatRequest = { model: "demo/demo-chat", messages: [{ role: "user", content: "Hello" }] };

async function useModels() {
  const listed = given((await v1.GET("/v1/models", {})).data);
  const path = { model: "demo/demo-chat" };
  const model = given((await v1.GET("/v1/models/{model}", { params: { path } })).data);
  const completion = whole((await v1.POST("/v1/chat/completions", { body: chat })).data);
  const message = whole(
    (await v1.POST("/v1/messages", { body: { model: chat.model, messages: chat.messages, max_tokens: 99 } })).data,
  );
  const missing = await v1.GET("/v1/models/{model}", { params: { path: { model: "nothing/at-all" } } });
  const error = given(missing.error).error;
  return {
    models: listed.data.map((each) => each.id),
    model: model.id,
    whole: completion.choices[0]?.message.content,
    tokens: completion.usage?.total_tokens,
    message: message.content.map((block) => block.text).join(""),
    streamed: await streamed(),
    error: "code" in error ? error.code : error.type,
  };
}

async function streamed() {
  const { data } = await v1.POST("/v1/chat/completions", { body: { ...chat, stream: true }, parseAs: "text" });
  const lines = String(data).split("\n").filter((line) => line.startsWith("data: "));
  if (lines.pop() !== "data: [DONE]") throw new Error("the stream has no end");
  const chunks: components["schemas"]["ChatCompletionChunk"][] = lines.map((line) => JSON.parse(line.slice(6)));
  return chunks.flatMap((chunk) => chunk.choices.map((choice) => choice.delta.content ?? "")).join("");
}

async function manage() {
  const all = "/api/v1/providers/{provider}/credentials";
  const one = "/api/v1/providers/{provider}/credentials/{id}";
  const provider = { provider: "demo" };
  const made = given(
    (await rest.POST(all, { params: { path: provider }, body: { name: "Generated", values: {}, check: true } })).data,
  );
  const params = { path: { ...provider, id: made.id } };
  const renamed = given((await rest.PATCH(one, { params, body: { name: "Renamed", check: true } })).data);
  const listed = given((await rest.GET(all, { params: { path: provider } })).data);
  const deleted = await rest.DELETE(one, { params });
  const missing = await rest.GET(one, { params });
  const enabled = given((await rest.GET("/api/v1/models", { params: { query: { enabled: true } } })).data);
  return {
    renamed: renamed.name,
    listed: listed.results.map((row) => row.name),
    deleted: deleted.response.status,
    missing: given(missing.error).error.code,
    enabled: enabled.results.length > 0 && enabled.results.every((model) => model.enabled),
  };
}

console.log(JSON.stringify({ v1: await useModels(), rest: await manage() }));
