// OpenAI's Agents SDK for JavaScript, which speaks Responses by default.
import { Agent, OpenAIResponsesModel, run, setTracingDisabled, tool } from '@openai/agents'
import OpenAI from 'openai'
import { z } from 'zod'
import { BASE, check, CITIES, end, expect, expectCities, getWeather, KEY, MODEL, SAYS } from './check.mjs'

setTracingDisabled(true)
const client = new OpenAI({ baseURL: BASE, apiKey: KEY, maxRetries: 0 })
const model = new OpenAIResponsesModel(client, MODEL)
const weather = tool({
  name: 'get_weather',
  description: 'Tell the weather.',
  parameters: z.object({ city: z.string() }),
  execute: getWeather,
})

await check('text', async () => {
  expect((await run(new Agent({ name: 'a', model }), 'hi')).finalOutput, SAYS)
})
await check('stream', async () => {
  const streamed = await run(new Agent({ name: 'a', model }), 'hi', { stream: true })
  let text = ''
  for await (const piece of streamed.toTextStream()) text += piece
  expect(text, SAYS)
})
await check('tools', async () => {
  const agent = new Agent({ name: 'a', model, tools: [weather] })
  expectCities((await run(agent, CITIES)).finalOutput)
})
await check('structured output', async () => {
  const outputType = z.object({ city: z.string(), days: z.number() })
  const answer = (await run(new Agent({ name: 'a', model, outputType }), 'hi')).finalOutput
  expect(typeof answer.city, 'string')
})
end()
