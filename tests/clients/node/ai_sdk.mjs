// The AI SDK: Responses, which is its default for OpenAI, chat completions, and Anthropic's format.
import { createAnthropic } from '@ai-sdk/anthropic'
import { createOpenAI } from '@ai-sdk/openai'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { embedMany, generateText, isStepCount, Output, streamText, tool } from 'ai'
import { z } from 'zod'
import { BASE, check, CITIES, EMBEDDINGS, end, expect, expectCities, expectReasoning } from './check.mjs'
import { getWeather, KEY, MODEL, SAYS } from './check.mjs'

const openai = createOpenAI({ baseURL: BASE, apiKey: KEY })
const compatible = createOpenAICompatible({ name: 'modelkeep', baseURL: BASE, apiKey: KEY })
const anthropic = createAnthropic({ baseURL: BASE, apiKey: KEY })
const tools = {
  get_weather: tool({
    description: 'Tell the weather.',
    inputSchema: z.object({ city: z.string() }),
    execute: getWeather,
  }),
}
const trip = z.object({ city: z.string(), days: z.number() })
const once = { maxRetries: 0 }

async function answerOfLoop(model, providerOptions) {
  const stopWhen = isStepCount(4)
  return (await generateText({ model, prompt: CITIES, tools, stopWhen, providerOptions, ...once })).text
}

await check('text', async () => {
  expect((await generateText({ model: openai(MODEL), prompt: 'hi', ...once })).text, SAYS)
})
await check('stream', async () => {
  expect(await streamText({ model: openai(MODEL), prompt: 'hi', ...once }).text, SAYS)
})
await check('tools (Responses)', async () => {
  // It asks for no reasoning of models whose names it doesn't know.
  const options = { openai: { reasoningEffort: 'medium', forceReasoning: true, store: false } }
  const text = await answerOfLoop(openai(MODEL), options)
  expectCities(text)
  await expectReasoning('Responses', text)
})
await check('tools (Responses, items by reference)', async () => {
  const options = { openai: { reasoningEffort: 'medium', forceReasoning: true } }
  const text = await answerOfLoop(openai(MODEL), options)
  expectCities(text)
  await expectReasoning('Responses, items by reference', text)
})
await check('tools (chat)', async () => {
  const options = { modelkeep: { reasoningEffort: 'medium' } }
  const text = await answerOfLoop(compatible(MODEL), options)
  expectCities(text)
  await expectReasoning('chat', text)
})
await check('tools (Anthropic)', async () => {
  const options = { anthropic: { thinking: { type: 'adaptive' } } }
  const text = await answerOfLoop(anthropic(MODEL), options)
  expectCities(text)
  await expectReasoning('Anthropic', text)
})
await check('structured output', async () => {
  const output = Output.object({ schema: trip })
  const answer = await generateText({ model: openai(MODEL), prompt: 'hi', output, ...once })
  expect(typeof answer.output.city, 'string')
})
await check('embeddings', async () => {
  const model = openai.embedding(EMBEDDINGS)
  expect((await embedMany({ model, values: ['a', 'b'], ...once })).embeddings.length, '2')
})
end()
