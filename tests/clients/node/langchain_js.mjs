// LangChain.js: ChatOpenAI with chat completions and with Responses, an agent, embeddings.
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai'
import { createAgent, tool } from 'langchain'
import { z } from 'zod'
import { BASE, check, CITIES, EMBEDDINGS, end, expect, expectCities, getWeather, KEY, MODEL, SAYS } from './check.mjs'

const at = { apiKey: KEY, maxRetries: 0, configuration: { baseURL: BASE } }
const chat = new ChatOpenAI({ model: MODEL, ...at })
const responses = new ChatOpenAI({ model: MODEL, useResponsesApi: true, ...at })
const weather = tool(getWeather, {
  name: 'get_weather',
  description: 'Tell the weather.',
  schema: z.object({ city: z.string() }),
})

async function answerOfAgent(model) {
  const agent = createAgent({ model, tools: [weather] })
  return (await agent.invoke({ messages: [{ role: 'user', content: CITIES }] })).messages.at(-1).text
}

await check('text', async () => expect((await chat.invoke('hi')).text, SAYS))
await check('stream', async () => {
  let text = ''
  for await (const chunk of await chat.stream('hi')) text += chunk.text
  expect(text, SAYS)
})
await check('tools (chat)', async () => expectCities(await answerOfAgent(chat)))
await check('tools (Responses)', async () => expectCities(await answerOfAgent(responses)))
await check('structured output', async () => {
  const trip = z.object({ city: z.string(), days: z.number() })
  expect(typeof (await chat.withStructuredOutput(trip).invoke('hi')).city, 'string')
})
await check('embeddings', async () => {
  const embeddings = new OpenAIEmbeddings({ model: EMBEDDINGS, ...at })
  expect((await embeddings.embedDocuments(['a', 'b'])).length, '2')
})
end()
