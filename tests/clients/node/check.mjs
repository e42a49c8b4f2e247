// Runs checks of a library, and prints a line of JSON for each: its name, and what went wrong.
export const { BASE_URL: BASE, API_KEY: KEY, MODEL, EMBEDDINGS, SAYS } = process.env
export const ROOT = BASE.replace(/\/v1$/, '')

export const CITIES = 'CALL:get_weather:{"city": "Paris"}END CALL:get_weather:{"city": "Rome"}END'

export function getWeather({ city }) {
  return `sunny in ${city}`
}

export function expect(text, ...wanted) {
  for (const one of wanted) {
    if (!String(text).includes(one)) throw new Error(`${one} is not in ${String(text).slice(0, 500)}`)
  }
}

export function expectCities(text) {
  expect(text, 'sunny in Rome')
}

export async function check(step, run) {
  let problem = ''
  try {
    await run()
  } catch (error) {
    problem = `${error.stack ?? error}`.slice(0, 1500)
  }
  console.log(`CHECK ${JSON.stringify({ step, problem })}`)
}

// What the scripted vendor says of its thoughts: that both came back unchanged. The Demo has none.
export async function expectReasoning(door, text) {
  if (MODEL.startsWith('demo/')) return
  await check(`reasoning (${door})`, () => expect(text, '(thoughts kept: 2 of 2)'))
}

// A script that ends before has said less than it should.
export function end() {
  console.log('ENDED')
  process.exit(0)
}
