// A daemon with one node, and an example of the SDK beside it, started as its README says.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { start, type RunningProgram } from '../support/run.ts'
import { startSallyport, type Sallyport } from '../support/sallyport.ts'

const EXAMPLES = fileURLToPath(new URL('../../sdk/examples/', import.meta.url))

export interface ExampleHouse extends AsyncDisposable {
  readonly sallyport: Sallyport
  /** `sallyctl tokens add NAME ...` into a file; its path */
  token(name: string, ...options: readonly string[]): Promise<string>
  /** `node sdk/examples/NAME/bot.ts ARGS` */
  bot(name: string, tokenFile: string, args?: readonly string[], env?: Readonly<Record<string, string>>): RunningProgram
}

export async function exampleHouse(): Promise<ExampleHouse> {
  const sallyport = await startSallyport()
  const running: RunningProgram[] = []
  const stop = async (): Promise<void> => {
    await Promise.all(running.map((each) => each[Symbol.asyncDispose]()))
    await sallyport.stop()
  }
  try {
    await sallyport.startNode('db-box', { env: 'prod' })
    const owner = await sallyport.user('owner')
    const pin = /--ca-pin=(\S+)/.exec(owner.command)?.[1] ?? ''
    return {
      sallyport,
      async token(name, ...options) {
        const made = await sallyport.admin('tokens', 'add', name, '--owner=owner', ...options)
        if (made.code !== 0) throw new Error(made.stderr)
        const file = join(sallyport.folder, `${name}.token`)
        writeFileSync(file, made.stdout, { mode: 0o600 })
        return file
      },
      bot(name, tokenFile, args = [], env = {}) {
        const settings = {
          SALLYPORT_ADDRESS: `127.0.0.1:${sallyport.port}`,
          SALLYPORT_CA_PIN: pin,
          SALLYPORT_TOKEN_FILE: tokenFile,
        }
        const bot = start(process.execPath, [join(EXAMPLES, name, 'bot.ts'), ...args], { env: { ...settings, ...env } })
        running.push(bot)
        return bot
      },
      [Symbol.asyncDispose]: stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}
