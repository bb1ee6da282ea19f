import { chromium, type Browser as ChromiumBrowser, type Page as ChromiumPage } from 'playwright-core'
import { needProgram } from './need-program.ts'

export type { ChromiumPage }

/** What a page complained of while it was open: a broken policy, a script that failed, something it could not load. */
export interface Watched {
  readonly page: ChromiumPage
  readonly complaints: readonly string[]
}

/** The machine's own Chromium, without a window. Each `open` is a browser of somebody else: no cookie is shared. */
export class Chromium implements AsyncDisposable {
  readonly #browser: ChromiumBrowser

  static async start(): Promise<Chromium> {
    // The sandbox cannot be had as root, nor in most containers; all that is shown here is made by the tests.
    const args = ['--no-sandbox']
    const browser = await chromium.launch({ executablePath: needProgram('chromium'), headless: true, args })
    return new Chromium(browser)
  }

  private constructor(browser: ChromiumBrowser) {
    this.#browser = browser
  }

  /** The installation's authority is not the machine's: what is tested is the pages. */
  async open(
    size: { readonly width: number; readonly height: number } = { width: 1280, height: 800 },
  ): Promise<Watched> {
    const context = await this.#browser.newContext({ ignoreHTTPSErrors: true, viewport: size })
    const page = await context.newPage()
    const complaints: string[] = []
    page.on('console', (said) => void (said.type() === 'error' && complaints.push(said.text())))
    page.on('pageerror', (error) => void complaints.push(error.message))
    page.on(
      'requestfailed',
      (request) => void complaints.push(`${request.url()} ${request.failure()?.errorText ?? ''}`),
    )
    return { page, complaints }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.close()
  }
}
