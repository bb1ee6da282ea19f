import { hiddenOf, linksIn, PageVisitor, type SeenPage } from './page-visitor.ts'

/** What one link answered to everything that a scanner does. */
export interface Scanned {
  readonly link: string
  /** Of GET and HEAD, in whatever guise */
  readonly looks: readonly number[]
  /** Of forms sent without the page having been opened in that browser, or from another site */
  readonly foreign: readonly number[]
  /** Of forms sent as a browser would that runs scripts and presses whatever there is, with nothing typed and with rubbish */
  readonly pressed: readonly number[]
}

const GUISES: readonly Readonly<Record<string, string>>[] = [
  {},
  { 'user-agent': 'Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)' },
  { 'user-agent': 'Mozilla/5.0 (compatible; MSIE 10.0) SafeLinks' },
  { 'user-agent': 'Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)' },
  { purpose: 'prefetch', 'x-moz': 'prefetch' },
  { 'sec-purpose': 'prefetch;prerender', 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' },
]

/**
 * Follows each link that starts with `origin`, and those on the pages behind them, as mail gateways, previews, prefetching
 * browsers and bots do that press every button.
 */
export async function scanLinks(texts: readonly string[], origin: string): Promise<Scanned[]> {
  const waiting = [...new Set(texts.flatMap(linksIn))].filter((link) => link.startsWith(`${origin}/`))
  const seen = new Set<string>()
  const scanned: Scanned[] = []
  for (let link = waiting.pop(); link !== undefined; link = waiting.pop()) {
    if (seen.has(link)) continue
    seen.add(link)
    const [pages, result] = await scanLink(link, origin)
    scanned.push(result)
    for (const page of pages) waiting.push(...innerLinks(page.body, link, origin))
  }
  return scanned
}

function innerLinks(body: string, base: string, origin: string): string[] {
  const links = linksIn(body).flatMap((link) => (URL.canParse(link, base) ? [new URL(link, base).href] : []))
  return links.filter((link) => link.startsWith(`${origin}/`))
}

async function scanLink(link: string, origin: string): Promise<[SeenPage[], Scanned]> {
  const pages: SeenPage[] = []
  for (const headers of GUISES) {
    pages.push(await new PageVisitor().visit(link, { headers }))
    pages.push(await new PageVisitor().visit(link, { headers, method: 'HEAD' }))
  }
  const twice = new PageVisitor()
  pages.push(...(await Promise.all([twice.visit(link), twice.visit(link), twice.visit(link, { method: 'HEAD' })])))
  const foreign = await sendForeign(link, origin)
  const pressed = await pressEverything(link)
  const looks = pages.map(({ status }) => status)
  return [pages, { link, looks, foreign: foreign.map(statusOf), pressed: pressed.map(statusOf) }]
}

const statusOf = ({ status }: SeenPage): number => status
const TYPED = { decision: 'approve', reason: 'x', duration: '1h', code: '000000', user: 'nobody-here', password: 'x' }

async function sendForeign(link: string, origin: string): Promise<SeenPage[]> {
  const fresh = (): PageVisitor => new PageVisitor()
  const { body } = await fresh().visit(link)
  const opened = fresh()
  const marks = hiddenOf((await opened.visit(link)).body)
  return [
    await fresh().visit(link, { form: TYPED }),
    // The mark of another browser's page, as somebody would send it to whom it was shown.
    await fresh().visit(link, { form: { ...TYPED, ...hiddenOf(body) } }),
    await opened.visit(link, { form: TYPED }),
    await opened.visit(link, { form: { ...TYPED, ...marks }, headers: { origin: 'https://evil.example' } }),
    await opened.visit(link, { form: { ...TYPED, ...marks }, headers: { origin: 'null' } }),
    await opened.visit(link, { form: { ...TYPED, ...marks }, headers: { origin, 'sec-fetch-site': 'cross-site' } }),
  ]
}

async function pressEverything(link: string): Promise<SeenPage[]> {
  const robot = new PageVisitor()
  return [await robot.fill(link, {}), await robot.fill(link, TYPED)]
}
